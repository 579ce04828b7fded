import { DestinationError } from "../../domain/errors.ts";
import type { RestoredSettings } from "./recovery_settings.ts";
import { restoredAutoConf, restoredSettings, signalFile } from "./recovery_settings.ts";

const AUTO_CONF = "postgresql.auto.conf";
/** What a data directory may hold of another life, and PostgreSQL would act on or refuse. */
const LEFTOVERS = [
  "recovery.conf",
  "recovery.signal",
  "standby.signal",
  "postmaster.pid",
  "postmaster.opts",
] as const;

/**
 * Tells a restored data directory how to recover, durably: leftovers are removed, settings written,
 * and the signal file last. Call it before the directory can be started.
 *
 * @param options.owner whom the files are given to; the caller's own when absent.
 * @throws {DestinationError} when a file cannot be written.
 */
export async function writeRecoverySettings(
  dataDirectory: string,
  settings: RestoredSettings,
  { owner }: { readonly owner?: { readonly uid: number; readonly gid: number } | undefined } = {},
): Promise<void> {
  const write = async (name: string, text: string) => {
    const path = `${dataDirectory}/${name}`;
    await onPath(path, () => replaceFile(path, text, owner));
  };
  for (const name of LEFTOVERS) {
    const path = `${dataDirectory}/${name}`;
    await onPath(path, () => Deno.remove(path).catch(unlessMissing));
  }
  if (restoredSettings(settings).length === 0) return;
  const path = `${dataDirectory}/${AUTO_CONF}`;
  const before = await onPath(path, () => Deno.readTextFile(path).catch(emptyIfMissing));
  await write(AUTO_CONF, restoredAutoConf(before, settings));
  const signal = signalFile(settings);
  if (signal !== undefined) await write(signal, "");
  await onPath(dataDirectory, () => Promise.resolve(syncFolder(dataDirectory)));
}

/** Whole or not at all: a new file of mode 0600, synced, takes the old one's name. */
async function replaceFile(
  path: string,
  text: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  const draft = `${path}.restoring`;
  await Deno.remove(draft).catch(unlessMissing);
  {
    using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  if (owner) await Deno.chown(draft, owner.uid, owner.gid);
  await Deno.rename(draft, path);
}

function syncFolder(path: string): void {
  using folder = Deno.openSync(path);
  folder.syncSync();
}

async function onPath<Result>(path: string, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (cause) {
    throw new DestinationError(
      `cannot write ${path}: ${cause instanceof Error ? cause.message : cause}`,
      "may this user write there, and is there room?",
      { cause },
    );
  }
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function emptyIfMissing(error: unknown): string {
  unlessMissing(error);
  return "";
}
