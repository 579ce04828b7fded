/** The status page in a real browser. */
import assert from "node:assert/strict";
import { pageRoutes } from "../../src/service/page/page_routes.ts";
import type { PageView } from "../../src/service/page/page_view.ts";
import { type Listener, startListener } from "../../src/service/service.ts";
import { Chromium, findChromium } from "../support/chromium.ts";
import { aBusyView, aCalmView, anAlert } from "../support/page_views.ts";
import { aRepository, aRun, aSnapshot } from "../support/alerts/snapshots.ts";
import { samplePhysical } from "../support/manifests.ts";

const HOSTILE = `"><script>document.title='owned'</script><img src=x onerror=alert(1)>' \u202eevil`;

function serve(view: PageView): Listener {
  return startListener({
    address: "127.0.0.1:0",
    routes: pageRoutes({
      snapshot: () => view.snapshot,
      alerts: () => Promise.resolve(view.alerts),
      storage: () => view.storage,
    }),
    onError: (error) => {
      throw error;
    },
  });
}

/** Labels, names and messages as somebody would choose them who wants the page to run something. */
function hostileView(): PageView {
  const view = aBusyView({ label: HOSTILE });
  const snapshot = aSnapshot({
    cluster: HOSTILE,
    host: HOSTILE,
    repository: aRepository({
      backups: [samplePhysical({ label: HOSTILE, id: HOSTILE })],
      unreadable: [{ key: HOSTILE, reason: HOSTILE }],
      gaps: [{ timeline: 1, fromWal: HOSTILE, toWal: HOSTILE }],
    }),
    runs: [aRun({
      operation: HOSTILE,
      host: HOSTILE,
      outcome: "failed",
      error: { code: HOSTILE, message: HOSTILE, hint: HOSTILE },
    })],
    schedule: view.snapshot.schedule.map((entry) => ({ ...entry, name: HOSTILE, run: HOSTILE })),
    leader: { here: false, holder: HOSTILE },
    problems: [{ part: "server", message: HOSTILE }],
  });
  const alert = anAlert({ title: HOSTILE, detail: HOSTILE, hint: HOSTILE, rule: "constructor" });
  return { ...view, snapshot, alerts: [alert] };
}

const path = await findChromium();
if (path === undefined) {
  console.warn("status_page_test: NOT RUN, there is no chromium in PATH (apt install chromium)");
}

Deno.test({
  name: "the status page is read in a browser, wide and narrow, light and dark",
  ignore: path === undefined,
  fn: async (t) => {
    await using browser = await Chromium.start(path!);
    const views = { busy: aBusyView(), calm: aCalmView(), hostile: hostileView() };
    for (const [name, view] of Object.entries(views)) {
      await using listener = serve(view);
      for (const width of [390, 1280]) {
        for (const dark of [false, true]) {
          const look = `${width}-${dark ? "dark" : "light"}`;
          await t.step(`${name} ${look}`, async () => {
            const url = `http://${listener.address}/?lang=${dark ? "pt" : "en"}`;
            const visit = await browser.visit(url, { width, dark });
            assert.deepEqual(visit.complaints.filter((text) => !/favicon|404/.test(text)), []);
            const others = visit.requests.filter((asked) => !asked.includes("favicon"));
            assert.deepEqual(others, [url], "it fetched something");
            const page = await visit.evaluate<{
              scroll: number;
              back: string;
              elements: number;
              title: string;
              small: string[];
              text: string;
            }>(`({
              scroll: document.documentElement.scrollWidth,
              back: getComputedStyle(document.body).backgroundColor,
              elements: document.querySelectorAll("script,img,iframe,object,link,form").length,
              title: document.title,
              text: document.body.innerText,
              small: [...document.querySelectorAll("body *")].filter((one) =>
                one.childElementCount === 0 && one.textContent.trim() !== "" &&
                parseFloat(getComputedStyle(one).fontSize) < 12).map((one) => one.outerHTML),
            })`);
            assert.ok(page.scroll <= width, `${page.scroll} pixels wide`);
            assert.equal(page.back, dark ? "rgb(20, 23, 26)" : "rgb(252, 252, 251)");
            assert.equal(page.elements, 0);
            assert.notEqual(page.title, "owned");
            assert.ok(!page.text.includes("\u202e"), "a character turns the text around");
            assert.deepEqual(page.small, [], "letters are too small");
            const shots = Deno.env.get("BACKUPCTL_TEST_SCREENSHOTS");
            if (!shots) return;
            await Deno.writeFile(`${shots}/${name}-${look}.png`, await visit.screenshot());
          });
        }
      }
    }
  },
});
