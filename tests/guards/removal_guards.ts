import type { Guard } from "./guard.ts";

const PLAN = "tests/unit/engine/retention/plan_prune_test.ts";
const REFUSALS = "tests/unit/engine/retention/prune_refusals_test.ts";
const LEASED = "tests/unit/engine/retention/removal_lease_test.ts";
const LEASES = "tests/unit/catalog/leases_test.ts";

/** Of prune and delete: what is needed stays. */
export const REMOVAL_GUARDS: readonly Guard[] = [
  {
    name: "the newest backup is never removed",
    file: "src/engine/retention/choose_kept.ts",
    text: "  if (newest) chosen.keep(newest, `the newest ${what}`);\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "a pinned backup stays",
    file: "src/engine/retention/choose_kept.ts",
    text: "  if (pin && (pin.until === null || pin.until > now)) {\n    const until",
    replacement: "  if (pin && !now) {\n    const until",
    test: PLAN,
  },
  {
    name: "a backup pinned meanwhile stays",
    file: "src/engine/retention/carry_out.ts",
    text: "if (!pin || (pin.until !== null && pin.until.getTime() <= now())) return;",
    replacement: "if (!pin || now() > 0) return;",
    test: REFUSALS,
  },
  {
    name: "a backup that somebody reads stays",
    file: "src/engine/retention/choose_kept.ts",
    text: "  if (inUseBy !== undefined) chosen.keep(backup, `in use by ${inUseBy}`);\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "what an increment builds on stays",
    file: "src/engine/retention/choose_kept.ts",
    text: "  keepChains(chosen, system.backups);\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "the WAL that a kept backup needs stays",
    file: "src/engine/retention/judge_wal.ts",
    text: "    ...options.physical.flatMap((backup) => ownNeeds(system, backup)),\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "the WAL from the window's first backup to now stays",
    file: "src/engine/retention/judge_wal.ts",
    text: "    ...bases.flatMap((base) => openNeeds(system, base)),\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "the WAL of the window stays when a clock was wrong",
    file: "src/engine/retention/judge_wal.ts",
    text: "stoppedAt >= from || inUseBy !== undefined",
    replacement: "inUseBy !== undefined",
    test: PLAN,
  },
  {
    name: "what leads to the timeline that goes on stays",
    file: "src/engine/retention/choose_kept.ts",
    text: "  keepBranches(chosen, system, options);\n",
    replacement: "",
    test: PLAN,
  },
  {
    name: "the lease is confirmed before each removal",
    file: "src/engine/retention/carry_out.ts",
    text: "      await this.#lease.confirm();\n      this.#lease.check();\n",
    replacement: "",
    test: LEASED,
  },
  {
    name: "the lease is looked at before each request of a removal",
    file: "src/engine/retention/carry_out.ts",
    text: "        guard: () => this.#lease.check(),\n",
    replacement: "",
    test: LEASED,
  },
  {
    name: "a lease that was not renewed in time is lost",
    file: "src/catalog/held_lease.ts",
    text: "if (this.#age() < durationMs * (1 - MARGIN)) return;",
    replacement: "if (durationMs > 0) return;",
    test: LEASES,
  },
  {
    name: "nothing is removed beside a backup that is not whole",
    file: "src/engine/retention/prepare_removal.ts",
    text: "  refuseDamaged(seen);\n",
    replacement: "",
    test: REFUSALS,
  },
  {
    name: "nothing is removed by a listing that leaves something out",
    file: "src/engine/retention/prepare_removal.ts",
    text: "    await refuseUnlisted(later, { repository, store, ...reading });\n",
    replacement: "",
    test: REFUSALS,
  },
  {
    name: "backup.json goes first",
    file: "src/engine/retention/carry_out.ts",
    text: "  await guarded.remove([`${folder}backup.json`]);\n",
    replacement: "",
    test: LEASED,
  },
];
