import assert from "node:assert/strict";
import fc from "fast-check";
import { chooseLanguage } from "../../../src/service/page/language.ts";
import { pageRoutes } from "../../../src/service/page/page_routes.ts";
import { PageText, type PageView } from "../../../src/service/page/page_view.ts";
import { statusPage } from "../../../src/service/page/status_page.ts";
import { aRepository, aRun, aSnapshot, before } from "../../support/alerts/snapshots.ts";
import { samplePhysical } from "../../support/manifests.ts";
import { aBusyView, aCalmView, anAlert } from "../../support/page_views.ts";

const LANGUAGES = [
  { header: undefined, query: "", language: "en" },
  { header: "pt-BR,pt;q=0.9,en;q=0.8", query: "", language: "pt" },
  { header: "en-US,en;q=0.9,pt;q=0.8", query: "", language: "en" },
  { header: "en;q=0.1, pt;q=0.2", query: "", language: "pt" },
  { header: "de-DE,fr;q=0.9", query: "", language: "en" },
  { header: "pt;q=0, en", query: "", language: "en" },
  { header: "pt;q=0", query: "", language: "en" },
  { header: "PT", query: "", language: "pt" },
  { header: ";;;=,q=", query: "", language: "en" },
  { header: "en", query: "?lang=pt", language: "pt" },
  { header: "pt", query: "?lang=en", language: "en" },
  { header: "pt", query: "?lang=xx", language: "pt" },
];

for (const { header, query, language } of LANGUAGES) {
  Deno.test(`the page speaks ${language} to "${header ?? ""}" with "${query}"`, () => {
    const headers = header === undefined ? {} : { "accept-language": header };
    const request = new Request(`http://localhost/${query}`, { headers });
    assert.equal(chooseLanguage(request), language);
  });
}

async function page(view: PageView, language: "en" | "pt" = "en"): Promise<string> {
  return await statusPage(view, new PageText(language));
}

async function fetched(view: PageView | undefined, path = "/"): Promise<Response> {
  const routes = pageRoutes({
    snapshot: () => view?.snapshot,
    alerts: () => Promise.resolve(view?.alerts ?? []),
  });
  return await routes.get("/")!.handle(new Request(`http://localhost${path}`));
}

Deno.test("the page forbids everything but its own style, by its hash", async () => {
  const response = await fetched(aBusyView());
  const policy = response.headers.get("content-security-policy") ?? "";
  assert.match(policy, /^default-src 'none'; style-src 'sha256-[^']+'; /);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/);
  const style = /<style>([\s\S]*?)<\/style>/.exec(await response.text())![1]!;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  assert.ok(policy.includes(`'sha256-${new Uint8Array(digest).toBase64()}'`));
});

Deno.test("the page has no script, no style of an element, and nothing to fetch", async () => {
  const html = await page(aBusyView());
  assert.doesNotMatch(html, /<script|<img|<link|\sstyle=|\son\w+=|\ssrc=|url\(\s*["']?h/i);
  const addresses = [...html.matchAll(/href="([^"]*)"/g)].map((match) => match[1]);
  assert.deepEqual(addresses, ["?lang=pt"]);
});

Deno.test("the page shows one of everything, in both languages", async () => {
  const [english, portuguese] = [await page(aBusyView()), await page(aBusyView(), "pt")];
  const both = [
    "0000000100000000000000A1",
    "six-hourly",
    "diario",
    "the server at db:5432 refuses",
  ];
  for (const text of [...both, "3 alerts", "Storage over time", "critical", "cannot be read"]) {
    assert.ok(english.includes(text), text);
  }
  for (
    const text of [...both, "3 alertas", "Armazenamento ao longo do tempo", "crítico", "faltam"]
  ) {
    assert.ok(portuguese.includes(text), text);
  }
  assert.match(portuguese, /<html lang="pt-BR">/);
  assert.match(portuguese, /<b>crítico<\/b> 3 arquivos de WAL esperam o arquivamento/);
  assert.doesNotMatch(portuguese, /are missing|cannot be restored|make room|does the server/);
  assert.match(await page(aCalmView()), /all is well/);
});

Deno.test("the page says so before there is anything to show", async () => {
  const response = await fetched(undefined, "/?lang=pt");
  assert.match(await response.text(), /Ainda não há dados/);
  assert.equal(response.headers.get("content-language"), "pt-BR");
});

Deno.test("the page draws a gap between two windows, and none behind an older timeline", async () => {
  const bars = (html: string) => [...html.matchAll(/class="gap" x="([\d.]+)"/g)].length;
  assert.equal(bars(await page(aBusyView())), 1);
  assert.equal(bars(await page(aCalmView())), 0);
});

Deno.test("the page tells until when the timeline goes on that grows, not the highest one", async () => {
  const view = aBusyView();
  const repository = view.snapshot.repository!;
  const last = repository.windows.at(-1)!;
  const dead = { ...last, timeline: 3, to: last.from, open: false, lagSeconds: undefined };
  const windows = [...repository.windows, dead];
  const shown = { ...view, snapshot: { ...view.snapshot, repository: { ...repository, windows } } };
  const tiles = (html: string) => html.split("<section").slice(0, 2).join("");
  assert.equal(tiles(await page(shown)), tiles(await page(view)));
});

Deno.test("the page shows a repository that cannot be asked", async () => {
  const snapshot = aSnapshot({
    repository: undefined,
    server: undefined,
    problems: [{ part: "repository", message: "no route" }],
  });
  const html = await page({ snapshot, alerts: [], storage: [] });
  assert.match(html, /no route/);
  assert.match(html, /not known/);
});

Deno.test("the page stays small when there is very much to show", async () => {
  const backups = Array.from(
    { length: 20_000 },
    (_, index) => samplePhysical({ stoppedAt: before(index * 60_000).toISOString() }),
  ).toReversed();
  const gaps = Array.from({ length: 5_000 }, () => ({
    timeline: 1,
    fromWal: "0000000100000000000000A1",
    toWal: "0000000100000000000000A1",
  }));
  const snapshot = aSnapshot({
    repository: aRepository({ ...aBusyView().snapshot.repository, backups, gaps }),
    runs: Array.from({ length: 5_000 }, () => aRun()),
  });
  const storage = Array.from({ length: 100_000 }, (_, index) => ({
    at: before(index * 1_000),
    bytes: index,
  }));
  const html = await page({ snapshot, alerts: [], storage });
  assert.ok(html.length < 200_000, `${html.length} characters`);
});

Deno.test("the page escapes whatever anybody calls anything", async () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }),
    fc.constantFrom(
      `"><script>1</script>`,
      `' onload='x`,
      `</style><script>`,
      `{{x}}`,
      `&lt;b&gt;`,
      `\u202e<b>`,
      `</svg><b>`,
    ),
  );
  const markup = (html: string) => [...html.matchAll(/<\/?[a-z][a-z0-9]*/gi)].map(([tag]) => tag);
  const built = async (text: string) => {
    const snapshot = aSnapshot({
      cluster: text,
      host: text,
      version: text,
      repository: aRepository({
        backups: [samplePhysical({ label: text, id: text })],
        unreadable: [{ key: text, reason: text }],
      }),
      runs: [aRun({
        operation: text,
        host: text,
        outcome: "failed",
        error: { code: "X", message: text, hint: text },
      })],
      problems: [{ part: "server", message: text }],
    });
    const alerts = [anAlert({ title: text, detail: text, hint: text, rule: text })];
    return await page({ snapshot, alerts, storage: [] }, "pt");
  };
  const plain = markup(await built("x"));
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      const html = await built(text);
      assert.deepEqual(markup(html), plain);
      // deno-lint-ignore no-control-regex -- control characters are what it is about
      assert.doesNotMatch(html, /[\u0000-\u0008\u000b-\u001f\u202a-\u202e\u2066-\u2069]/);
    }),
    { numRuns: 80 },
  );
});
