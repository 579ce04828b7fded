import { systemClock } from "../../domain/clock.ts";
import {
  DestinationError,
  NothingMatchesError,
  PartialError,
  PostgresError,
} from "../../domain/errors.ts";
import type { RestoreParts, RestoreReport } from "../parts.ts";
import { type DumpSelection, selectDumps } from "./object_names.ts";
import { logicalTarget, planLogicalRestore, type RestoreRun } from "./plan_logical_restore.ts";
import { restoreToFolder } from "./restore_to_folder.ts";
import { type IntoReport, restoreIntoServer } from "./restore_into_server.ts";

/** Complaints that are quoted; the others are counted. */
const SHOWN_ERRORS = 3;

/**
 * Restores a logical backup: as dump files into an empty or absent folder, or into a live server.
 *
 * @throws {DestinationError} before anything is changed when the target cannot take it.
 * @throws {IntegrityError} naming the object that is damaged or missing.
 * @throws {NothingMatchesError} when it has none of the tables that were named.
 * @throws {PostgresError} when no database could be restored.
 * @throws {PartialError} when PostgreSQL refused a part of it: how many errors, and the first.
 */
export async function restoreLogical(parts: RestoreParts, run: RestoreRun): Promise<RestoreReport> {
  const started = systemClock.monotonic();
  const { backup, options } = run;
  const target = logicalTarget(options);
  const selection = selectDumps(backup, options.databases);
  const plan = await planLogicalRestore(parts, run);
  if (plan.obstacles.length > 0) {
    throw new DestinationError(plan.obstacles.join("; "), plan.remedy);
  }
  parts.progress.begin("restoring", plan.writeBytes);
  if (target.kind === "folder") {
    const objects = [...(selection.globals ? [selection.globals] : []), ...selection.dumps];
    await restoreToFolder(parts, run, { path: target.path, objects });
  } else {
    const { connection } = target;
    const report = await restoreIntoServer(parts, run, { connection, selection });
    refuseErrors(report, { selection, where: plan.destination });
  }
  return {
    backup,
    destination: plan.destination,
    files: plan.objects,
    rawBytes: plan.writeBytes,
    fetchedBytes: plan.fetchBytes,
    durationSeconds: (systemClock.monotonic() - started) / 1000,
  };
}

function refuseErrors(
  { errors, failed }: IntoReport,
  { selection, where }: { readonly selection: DumpSelection; readonly where: string },
): void {
  if (errors.length === 0) return;
  const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
  const shown = errors.slice(0, SHOWN_ERRORS).join("; ");
  const more = errors.length > SHOWN_ERRORS ? `; and ${errors.length - SHOWN_ERRORS} more` : "";
  const total = new Set(selection.dumps.map(({ database }) => database)).size;
  if (failed === total && total > 0) {
    // Its words may be translated; then it is a refusal like any other.
    if (errors.every((error) => /table "[^]*" not found$/.test(error))) {
      throw new NothingMatchesError(
        `${shown}${more}`,
        "names are taken as they are, upper case too; pg_restore --list shows what a dump holds",
      );
    }
    throw new PostgresError(`nothing could be restored into ${where}: ${shown}${more}`);
  }
  throw new PartialError(
    `restored into ${where} with ${count}: ${shown}${more}`,
    "the rest is there; is the role a superuser, and are the extensions' packages installed?",
  );
}
