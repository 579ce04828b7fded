import type { AuditEvent } from "../catalog/audit_event.ts";
import type { Config } from "../config/config.ts";
import { BackupctlError, InterruptedError, PostgresError } from "../domain/errors.ts";
import type { Context } from "./context.ts";
import type { CommandLine } from "./grammar/grammar.ts";
import { openMetadata, resolveServer, stateFolder } from "./open_parts.ts";
import { osUser } from "./os_user.ts";
import { redactArguments } from "./redact_arguments.ts";
import { loadSettings } from "./session.ts";
import { VERSION } from "./version.ts";

/** How a command ended. */
export interface Ending {
  readonly status: number;
  readonly error?: unknown;
}

/** A command that was typed. */
export interface Typed {
  readonly line: CommandLine;
  readonly args: readonly string[];
  readonly context: Context;
}

/** Writes down who ran a command, where, and how it ended. Never throws. */
export async function recordAudit(typed: Typed, end: Ending): Promise<void> {
  try {
    const { config } = await loadSettings(typed.context);
    if (config.metadata.url === "off") return;
    await deliver(await describe(typed, { config, end }), { typed, config, end });
  } catch {
    // A wrong configuration has its own error; without a place for it, there is no trail.
  }
}

async function describe(
  { line, args, context: { env, clock } }: Typed,
  { config, end }: { readonly config: Config; readonly end: Ending },
): Promise<AuditEvent> {
  const { status, error } = end;
  return {
    eventId: crypto.randomUUID(),
    cluster: config.cluster,
    at: clock.now().toISOString(),
    operation: line.command,
    command: redactArguments(args, env),
    outcome: status === 0
      ? "succeeded"
      : error instanceof InterruptedError
      ? "interrupted"
      : "failed",
    exitStatus: status,
    errorCode: error === undefined ? null : error instanceof BackupctlError ? error.code : "BUG",
    osUser: await osUser(env) ?? null,
    pgRole: await roleOf(config, env),
    host: Deno.hostname(),
    toolVersion: VERSION,
  };
}

async function roleOf(config: Config, env: Context["env"]): Promise<string | null> {
  const silent = { stderr: { write: () => {} } } as unknown as Context["terminal"];
  try {
    return (await resolveServer(config, { env, terminal: silent })).user;
  } catch {
    return null;
  }
}

/** A restore asks no server that it may be replacing; one that just failed is not asked again. */
async function deliver(
  event: AuditEvent,
  { typed, config, end }: {
    readonly typed: Typed;
    readonly config: Config;
    readonly end: Ending;
  },
): Promise<void> {
  const { line, context } = typed;
  const folder = stateFolder(config, context.env);
  const { RunJournal } = await import("../catalog/run_journal.ts");
  const journal = folder === undefined ? undefined : new RunJournal(folder);
  const later = line.command === "restore" || context.signal.aborted ||
    end.error instanceof PostgresError;
  const metadata = later ? undefined : await openMetadata(config, context);
  try {
    if (journal) await journal.recordEntry({ type: "audit", event }, metadata?.index);
    else await metadata?.index.recordAudit(event);
  } finally {
    await metadata?.close();
  }
}
