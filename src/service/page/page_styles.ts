import { createHash } from "node:crypto";

/** The only style of the page; the policy lets the browser use this text and no other. */
export const STYLES = `
:root{color-scheme:light dark;--ground:#fcfcfb;--panel:#fff;--ink:#1a1c1e;--soft:#5c6066;
--line:#dcdfe3;--bar:#2f6f9f;--good:#1b6e3c;--warn:#8a5a00;--bad:#b3261e;--badback:#f7dedc}
@media (prefers-color-scheme:dark){:root{--ground:#14171a;--panel:#1c2024;--ink:#e6e8ea;
--soft:#a0a6ad;--line:#353b42;--bar:#6fb1e0;--good:#6fce96;--warn:#e8b64c;--bad:#ff8f85;
--badback:#4a2421}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
overflow-wrap:anywhere}
header,main{max-width:1100px;margin:0 auto;padding:16px}
header{display:flex;flex-wrap:wrap;gap:4px 16px;align-items:baseline;padding-bottom:0}
h1{font-size:22px;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;margin:0 0 8px}
header p{margin:0;color:var(--soft);font-size:14px}
header a{margin-left:auto;color:var(--bar)}
.state{font-weight:700}
.state.good{color:var(--good)}.state.bad{color:var(--bad)}.state.warn{color:var(--warn)}
section{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:14px 16px;
margin:0 0 14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:10px;
margin:0 0 14px;padding:0}
.tiles div{min-width:0;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.tiles dt{color:var(--soft);font-size:13px}
.tiles dd{margin:0;font-size:19px;font-weight:600}
.tiles dd.bad{color:var(--bad)}
.tiles dd+dd{font-size:13px;font-weight:400;color:var(--soft)}
.quiet{color:var(--soft);margin:0}
.alerts,.plain{list-style:none;margin:0;padding:0}
.alerts li{border-left:4px solid var(--warn);padding:2px 0 2px 12px;margin:0 0 10px}
.alerts li.critical{border-color:var(--bad)}
.alerts b{color:var(--warn)}.alerts .critical b{color:var(--bad)}
.alerts p{margin:0;font-size:14px;color:var(--soft)}
figure{margin:0 0 10px}
svg{display:block;width:100%}
.timeline{background:var(--ground);border:1px solid var(--line)}
.window{fill:var(--bar)}
.gap{fill:url(#hatch);stroke:var(--bad);vector-effect:non-scaling-stroke}
.gap-back{fill:var(--badback)}.gap-line{fill:var(--bad)}
.rule{stroke:var(--line);vector-effect:non-scaling-stroke}
.mark{vector-effect:non-scaling-stroke;stroke-width:2}
.mark.full{stroke:var(--ink)}.mark.increment{stroke:var(--soft)}
.area{fill:var(--bar);opacity:.18}
.line{fill:none;stroke:var(--bar);stroke-width:2;vector-effect:non-scaling-stroke}
.axis{display:flex;justify-content:space-between;gap:8px;font-size:13px;color:var(--soft);
padding:4px 0}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:0;padding:0;font-size:13px}
.key{display:inline-block;width:14px;height:14px;margin-right:6px;vertical-align:-2px}
.key.window{background:var(--bar)}
.key.gap{border:1px solid var(--bad);
background:repeating-linear-gradient(45deg,var(--bad) 0 3px,var(--badback) 3px 6px)}
.key.full{width:3px;background:var(--ink)}.key.increment{width:3px;height:8px;background:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--soft);font-weight:500}th,td.number{overflow-wrap:normal}
th,td{padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
td.good{color:var(--good)}td.bad{color:var(--bad)}td.warn{color:var(--warn)}
code{font-size:13px}
@media (max-width:640px){header,main{padding:12px}header{padding-bottom:0}
.wide{display:none}
.tiles{grid-template-columns:1fr 1fr}
.tiles dd{font-size:16px}
thead{position:absolute;clip-path:inset(50%);height:1px;width:1px;overflow:hidden}
tr{display:block;border-bottom:1px solid var(--line);padding:6px 0}
tr:last-child{border-bottom:0}
td{display:flex;gap:10px;border:0;padding:1px 0}
td:empty{display:none}
td::before{content:attr(data-label);color:var(--soft);flex:0 0 96px}}
`;

const HASH = createHash("sha256").update(STYLES).digest("base64");

/** Nothing is fetched, run, framed or sent; one style, known by its hash, is used. CSP Level 3. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${HASH}'; base-uri 'none'; ` +
  "form-action 'none'; frame-ancestors 'none'";
