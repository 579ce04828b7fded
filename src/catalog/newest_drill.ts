import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { clusterFolder } from "./layout.ts";
import { readTextObject } from "./read_object.ts";

/** A drill that succeeded. */
export interface SucceededDrill {
  /** When it ended. */
  readonly at: Date;
  /** Which backup it restored. */
  readonly backupId: string;
  /** From its beginning until the server was open; undefined when nobody measured it. */
  readonly recoverySeconds: number | undefined;
}

/** `…/drilled/<backup>/<time>-ok.json`; see checks.ts. */
const KEY = /\/drilled\/([^/]+)\/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-ok\.json$/;
/** Bytes of a check's object at most. */
const LIMIT = 1024 * 1024;

/**
 * The newest drill of a system that succeeded: one listing, and one object read.
 *
 * @throws {StorageError}
 */
export async function newestDrill(
  store: ObjectStore,
  { cluster, systemIdentifier, ...options }: ReadOptions & {
    readonly cluster: string;
    readonly systemIdentifier: string;
  },
): Promise<SucceededDrill | undefined> {
  const folder = `${clusterFolder(cluster)}${systemIdentifier}/drilled/`;
  let newest: { readonly key: string; readonly backupId: string; readonly at: Date } | undefined;
  for await (const { key } of store.list(folder, options)) {
    const [, backupId, year, month, day, hour, minute, second, ms] = KEY.exec(key) ?? [];
    if (backupId === undefined) continue;
    const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
    if (!newest || at > newest.at) newest = { key, backupId, at };
  }
  if (!newest) return undefined;
  const { key, ...drill } = newest;
  const text = await readTextObject(store, key, { limit: LIMIT, ...options });
  return { ...drill, recoverySeconds: secondsIn(text) };
}

function secondsIn(text: string): number | undefined {
  try {
    const seconds = JSON.parse(text)?.recoverySeconds;
    return typeof seconds === "number" && Number.isFinite(seconds) ? seconds : undefined;
  } catch {
    return undefined;
  }
}
