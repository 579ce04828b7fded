import type { Repository, UnreadableBackup } from "../catalog/catalog.ts";
import type { Config } from "../config/config.ts";
import { formatBytes } from "../domain/bytes.ts";
import { RepositoryError } from "../domain/errors.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { attempt, type Check, failed, ok, warning } from "./checks.ts";
import type { Context } from "./context.ts";
import { openCatalog, openStore } from "./open_parts.ts";

const DAY = 86_400_000;

/** The store, its conditional writes, the disk, and the newest backup. */
export async function* checkRepository(config: Config, context: Context): AsyncGenerator<Check> {
  let store: ObjectStore;
  try {
    store = await openStore(config);
  } catch (error) {
    yield failed("repository", error);
    return;
  }
  try {
    const probe = await attempt("repository", () => probeStore(store, context));
    yield probe;
    if (probe.state === "failed") return;
    if (config.repository.type === "directory") yield await freeDisk(config);
    const catalog = await openCatalog(store, config);
    yield await attempt("newest backup", () => newestBackup(catalog, { config, context }));
  } finally {
    await store.close?.();
  }
}

/** Writes, reads and removes a small object, and tries to overwrite it where it must not. */
async function probeStore(store: ObjectStore, { signal, clock }: Context): Promise<Check> {
  const { probeConditionalPut } = await import("../storage/probe.ts");
  const now = clock.now();
  const { ifAbsent, removable } = await probeConditionalPut(store, { signal, now });
  if (ifAbsent) {
    const kept = removable ? "" : "; it lets these credentials remove none (append-only)";
    return ok(
      "repository",
      `${store.location} takes objects, and none twice under one name${kept}`,
    );
  }
  return warning(
    "repository",
    `${store.location} takes objects, but ignores "only if absent"`,
    "two hosts that use one cluster name could overwrite each other; give each its own",
  );
}

async function freeDisk({ repository, alerts }: Config): Promise<Check> {
  const { statfs } = await import("node:fs/promises");
  try {
    const { bavail, blocks, bsize } = await statfs(repository.path!);
    const free = `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} free`;
    if (bavail / blocks >= alerts.rules.disk_free) return ok("disk", free);
    const percent = `${Math.round(alerts.rules.disk_free * 100)} %`;
    return warning("disk", free, `less than ${percent} are free; make room before it is full`);
  } catch {
    return warning("disk", "the free space cannot be told", "does the folder exist?");
  }
}

async function newestBackup(
  catalog: Repository,
  { config, context }: { readonly config: Config; readonly context: Context },
): Promise<Check> {
  const name = "newest backup";
  const unreadable: UnreadableBackup[] = [];
  const backups = await catalog.backups({
    onUnreadable: (backup) => unreadable.push(backup),
    signal: context.signal,
  }).catch((error) => {
    if (error instanceof RepositoryError) return [];
    throw error;
  });
  const newest = backups.at(-1);
  if (unreadable.length > 0) {
    const [{ key, reason } = { key: "", reason: "" }] = unreadable;
    const count = `${unreadable.length} of ${backups.length + unreadable.length} backups`;
    return warning(name, `${count} cannot be read: ${key}: ${reason}`, "take a new backup soon");
  }
  if (!newest) {
    return warning(name, "there is none yet", 'take one with "backupctl backup full"');
  }
  const age = context.clock.now().getTime() - Date.parse(newest.stoppedAt);
  const text = `${newest.id}, ${ageText(age)} old`;
  if (age <= config.alerts.rules.full_max_age) return ok(name, text);
  const limit = ageText(config.alerts.rules.full_max_age);
  return warning(name, text, `it should not be older than ${limit}; do scheduled backups run?`);
}

function ageText(milliseconds: number): string {
  if (milliseconds >= 2 * DAY) return `${Math.floor(milliseconds / DAY)} days`;
  const hours = Math.floor(milliseconds / 3_600_000);
  return hours >= 2
    ? `${hours} hours`
    : `${Math.max(0, Math.floor(milliseconds / 60_000))} minutes`;
}
