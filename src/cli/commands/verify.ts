import { IntegrityError, PartialError, StorageError, UsageError } from "../../domain/errors.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { Command, Context } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openSignatures, openStore } from "../open_parts.ts";
import { openSession, type Session } from "../session.ts";
import { trackRun } from "../track_run.ts";
import { findDamage, type Findings } from "../verify/find_damage.ts";
import { keepFindings } from "../verify/keep_findings.ts";
import { countFaults, lostBackups, printFindings } from "../verify/print_findings.ts";

type Line = CommandOf<"verify">;

/** Reads the repository back. Exit status 8 when anything is damaged or missing. */
export const verify: Command<Line> = async (line, context) => {
  await using session = await openSession(context, "verify");
  const { config } = session.loaded;
  const store = await openStore(config, session.log);
  const sample = line.sample ?? 1;
  let found: Findings | undefined;
  try {
    await trackRun(session, context, {
      task: "verify",
      operation: "verify",
      what: `verification of cluster ${config.cluster}`,
      work: async () => {
        found = await look(line, { store, session, context });
        refuseFaults(found);
        return found;
      },
      result: ({ backups, archives }) => ({
        storedBytes: [...backups, ...archives].reduce((sum, one) => sum + one.storedBytes, 0),
      }),
    });
    return 0;
  } finally {
    if (found && isToBePrinted(found, line)) printFindings(found, { sample, context });
    await store.close?.();
  }
};

/** Nothing is kept of a look that was interrupted. */
async function look(
  { backupId, sample = 1, sinceLast, jobs, expectSequence }: Line,
  { store, session, context }: {
    readonly store: ObjectStore;
    readonly session: Session;
    readonly context: Context;
  },
): Promise<Findings> {
  const { config } = session.loaded;
  const { signal, clock } = context;
  const startedAt = clock.now();
  const repository = await openCatalog(store, config);
  const opener = config.encryption && (await import("../seals.ts")).sealsOf(config).opener;
  const unseal = opener && { unseal: (key: string) => opener.stream(key) };
  const signatures = await openSignatures(store, config);
  if (expectSequence !== undefined && !signatures?.required) refuseExpectation();
  const place = {
    ...{ store, repository, progress: session.progress, ...unseal, signal },
    ...(signatures && { signatures }),
  };
  const found = await findDamage(place, { backupId, sample, sinceLast, jobs, expectSequence });
  signal.throwIfAborted();
  const times = { startedAt, finishedAt: clock.now() };
  try {
    const host = Deno.hostname();
    await keepFindings(store, found, { cluster: config.cluster, sample, host, ...times });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (countFaults(found) === 0) throw notKept(error);
    session.progress.note(`the outcome was not kept in the repository: ${error.message}`);
  }
  return found;
}

/** @throws {UsageError} */
function refuseExpectation(): never {
  throw new UsageError(
    "--expect-sequence needs keys whose signatures count",
    "set signing.trusted_keys",
  );
}

function notKept(error: StorageError): PartialError {
  return new PartialError(
    `nothing is damaged or missing, but that could not be kept in the repository: ${error.message}`,
    "verify needs the right to write new objects, or status cannot show what was verified",
    { cause: error },
  );
}

/** @throws {IntegrityError} */
function refuseFaults(found: Findings): void {
  const count = countFaults(found);
  if (count === 0) return;
  const lost = lostBackups(found);
  const what = count === 1 ? "1 object is" : `${count} objects are`;
  throw new IntegrityError(
    `${what} damaged or missing`,
    remedy(found, lost),
  );
}

function remedy({ unreadable }: Findings, lost: readonly string[]): string {
  if (lost.length > 0) {
    const some = `${lost.slice(0, 5).join(", ")}${lost.length > 5 ? " and more" : ""}`;
    return `lost: ${some}; take a new full backup now`;
  }
  // What is not there cannot be named.
  if (unreadable.some(({ backupId }) => backupId === "")) {
    return "newer backups may have been hidden or removed: look at another copy of the repository";
  }
  return "no backup is lost, but none can be rolled forward past it: take a new full backup";
}

function isToBePrinted(found: Findings, { quiet, output }: Line): boolean {
  return !quiet || output === "json" || countFaults(found) > 0;
}
