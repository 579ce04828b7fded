import { counted } from "../domain/counted.ts";
import { formatBytes } from "../domain/bytes.ts";
import type { RecoveryPlan, RestorePlan } from "../engine/engine.ts";
import { escapeControl } from "../log/format_record.ts";
import { backupDocument, formatTime } from "./backup_document.ts";
import { type Context, printResult } from "./context.ts";
import { recoveryDocument, recoveryFacts } from "./recovery_plan.ts";

/** Prints what a restore would do, and what stands in its way. */
export function printRestorePlan(
  plan: RestorePlan,
  { recovery, context }: {
    readonly recovery: RecoveryPlan | undefined;
    readonly context: Context;
  },
): void {
  printResult(context, {
    json: () => planDocument(plan, recovery),
    text: () => planText(plan, recovery),
  });
}

function planDocument(plan: RestorePlan, recovery: RecoveryPlan | undefined): unknown {
  return {
    schema: "backupctl.restore_plan/1",
    backup: backupDocument(plan.backup),
    chain: plan.chain.map(({ id }) => id),
    destination: plan.destination,
    objects: plan.objects,
    fetch_bytes: plan.fetchBytes,
    write_bytes: plan.writeBytes,
    free_bytes: plan.freeBytes,
    tablespaces: plan.tablespaces,
    recovery: recovery ? recoveryDocument(recovery) : null,
    obstacles: plan.obstacles,
    remedy: plan.remedy ?? null,
    possible: plan.obstacles.length === 0,
  };
}

function planText(plan: RestorePlan, recovery: RecoveryPlan | undefined): string {
  const { backup } = plan;
  const version = Math.floor(backup.postgresVersion / 10_000);
  const facts: (readonly [string, string])[] = [
    [
      "backup",
      `${backup.id}, ${backup.method} ${backup.kind}, ended ${formatTime(backup.stoppedAt)}`,
    ],
    ...(plan.chain.length > 1 ? [chainFact(plan)] : []),
    ["of", `PostgreSQL ${version}, cluster ${backup.cluster}, system ${backup.systemIdentifier}`],
    ...(backup.method === "logical" ? [databasesFact(backup)] : []),
    ["to", plan.destination],
    ...plan.tablespaces.map(({ oid, from, to }): [string, string] => [
      "tablespace",
      from === to ? `${oid} to ${to}` : `${oid} from ${from} to ${to}`,
    ]),
    ["fetch", `${formatBytes(plan.fetchBytes)} in ${counted(plan.objects, "object")}`],
    ["write", `${formatBytes(plan.writeBytes)}${freeText(plan)}`],
    ...(recovery ? recoveryFacts(recovery) : []),
  ];
  const lines = facts.map(([name, text]) => `  ${name.padEnd(12)}${escapeControl(text)}\n`);
  if (plan.obstacles.length === 0) {
    return `the plan; nothing was done\n${lines.join("")}nothing stands in the way\n`;
  }
  const obstacles = plan.obstacles.map((obstacle) => `  - ${escapeControl(obstacle)}\n`);
  const remedy = plan.remedy === undefined ? "" : `remedy: ${escapeControl(plan.remedy)}\n`;
  return `the plan; nothing was done\n${lines.join("")}in the way\n${obstacles.join("")}${remedy}`;
}

/** An increment is restored from all that it is built on. */
function chainFact({ chain }: RestorePlan): [string, string] {
  const parents = chain.slice(0, -1).map(({ id }) => id);
  return ["built on", parents.toReversed().join(", ")];
}

/** The newest backup may hold but one of the databases that somebody is looking for. */
function databasesFact({ databases, allDatabases }: RestorePlan["backup"]): [string, string] {
  const names = databases.map(({ name }) => name);
  const more = names.length > 8 ? `, and ${names.length - 8} more` : "";
  const chosen = allDatabases === false ? " (chosen with --database)" : "";
  return ["databases", names.slice(0, 8).join(", ") + more + chosen];
}

function freeText({ freeBytes }: RestorePlan): string {
  return freeBytes === null ? "" : `, ${formatBytes(freeBytes)} free`;
}
