import type { OpenAlert } from "../alerts/alert_state.ts";
import type { Routes } from "../listener.ts";
import type { ServiceSnapshot } from "../snapshot.ts";
import { chooseLanguage } from "./language.ts";
import { PAGE_POLICY } from "./page_styles.ts";
import { PageText, type StoragePoint } from "./page_view.ts";
import { statusPage, waitingPage } from "./status_page.ts";

/** Where the page gets what it shows. Nothing is asked of anybody for a visitor. */
export interface PageSource {
  /** The newest; undefined until there is one. */
  readonly snapshot: () => ServiceSnapshot | undefined;
  /** The alerts that hold. */
  readonly alerts: () => Promise<readonly OpenAlert[]>;
  /** How much was stored when; undefined: it is told from the backups that there are. */
  readonly storage?: () => readonly StoragePoint[] | undefined;
}

/** `/`: the status page. It only reads, runs no script and fetches nothing. */
export function pageRoutes(source: PageSource): Routes {
  return new Map([["/", { handle: (request: Request) => answer(request, source) }]]);
}

async function answer(request: Request, source: PageSource): Promise<Response> {
  const text = new PageText(chooseLanguage(request));
  const snapshot = source.snapshot();
  const page = snapshot === undefined ? await waitingPage(text) : await statusPage({
    snapshot,
    alerts: await source.alerts(),
    storage: source.storage?.() ?? storageOf(snapshot),
  }, text);
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-language": text.language === "pt" ? "pt-BR" : "en",
      "content-security-policy": PAGE_POLICY,
      "vary": "accept-language",
    },
  });
}

/** The sum of the backups that there are, as each was added, and the archive at the end. */
function storageOf({ repository, takenAt }: ServiceSnapshot): readonly StoragePoint[] {
  if (!repository || repository.backups.length === 0) return [];
  let bytes = 0;
  const points = repository.backups.map(({ stoppedAt, storedBytes }) => {
    bytes += storedBytes;
    return { at: new Date(stoppedAt), bytes };
  });
  return [...points, { at: takenAt, bytes: bytes + repository.walStoredBytes }];
}
