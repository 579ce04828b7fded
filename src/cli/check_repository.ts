import type { BackupManifest, Repository, UnreadableBackup } from "../catalog/catalog.ts";
import type { Config } from "../config/config.ts";
import { formatBytes } from "../domain/bytes.ts";
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
    yield* newestBackups(catalog, { config, context });
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
    const figures = [{ label: "disk_free", value: bavail * bsize, unit: "B" }];
    if (bavail / blocks >= alerts.rules.disk_free) return { ...ok("disk", free), figures };
    const percent = `${Math.round(alerts.rules.disk_free * 100)} %`;
    const hint = `less than ${percent} are free; make room before it is full`;
    return { ...warning("disk", free, hint), figures };
  } catch {
    return warning("disk", "the free space cannot be told", "does the folder exist?");
  }
}

/** Whether the newest backups can be read, and are as young as the rule wants the full ones. */
async function* newestBackups(
  catalog: Repository,
  { config, context }: { readonly config: Config; readonly context: Context },
): AsyncGenerator<Check> {
  const unreadable: UnreadableBackup[] = [];
  const found: BackupManifest[] = [];
  const failure = await attempt("backups", async () => {
    const onUnreadable = (backup: UnreadableBackup) => void unreadable.push(backup);
    const options = { onUnreadable, mayBeNone: true, signal: context.signal };
    found.push(...await catalog.backups(options));
    return stateOf(found, unreadable);
  });
  yield failure;
  if (failure.state === "failed") return;
  const now = context.clock.now();
  yield newestFull(found.findLast(({ kind }) => kind === "full"), { config, now });
}

function stateOf(
  backups: readonly BackupManifest[],
  unreadable: readonly UnreadableBackup[],
): Check {
  const figures = [{ label: "backups", value: backups.length, unit: "" }];
  const [first] = unreadable;
  if (first) {
    const count = `${unreadable.length} of ${backups.length + unreadable.length} backups`;
    const text = `${count} cannot be read: ${first.key}: ${first.reason}`;
    return { ...warning("backups", text, "take a new backup soon"), figures };
  }
  const newest = backups.at(-1);
  const count = `${backups.length} ${backups.length === 1 ? "backup" : "backups"}`;
  return { ...ok("backups", newest ? `${count}, the newest ${newest.id}` : "none yet"), figures };
}

function newestFull(
  newest: BackupManifest | undefined,
  { config, now }: { readonly config: Config; readonly now: Date },
): Check {
  const name = "newest full";
  if (!newest) {
    const hint = 'take one with "backupctl backup full"';
    return { ...warning(name, "there is none yet", hint), stale: true };
  }
  const age = Math.max(0, now.getTime() - Date.parse(newest.stoppedAt));
  const limit = config.alerts.rules.full_max_age;
  const figures = [
    { label: "full_age", value: Math.round(age / 1000), unit: "s", warn: limit / 1000 },
  ];
  const text = `${newest.id}, ${ageText(age)} old`;
  if (age <= limit) return { ...ok(name, text), figures };
  const hint = `it should not be older than ${ageText(limit)} (full_max_age); ` +
    "do scheduled backups run?";
  return { ...warning(name, text, hint), figures, stale: true };
}

function ageText(milliseconds: number): string {
  if (milliseconds >= 2 * DAY) return `${Math.floor(milliseconds / DAY)} days`;
  const hours = Math.floor(milliseconds / 3_600_000);
  return hours >= 2
    ? `${hours} hours`
    : `${Math.max(0, Math.floor(milliseconds / 60_000))} minutes`;
}
