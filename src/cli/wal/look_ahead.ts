import { systemClock } from "../../domain/clock.ts";
import { pushAhead } from "../../engine/wal/push_ahead.ts";
import { readyFiles } from "../../engine/wal/ready_files.ts";
import { runAhead } from "../../engine/wal/run_ahead.ts";
import type { WalPushParts } from "../../engine/wal/wal_push.ts";
import { watchWalSettings } from "./read_wal_settings.ts";
import { startBackground } from "./start_background.ts";
import { settingsInput, type WalArguments } from "./wal_arguments.ts";
import {
  type AskedFile,
  openSpool,
  openStoreOf,
  prepareRepository,
  type PushInput,
  pushSeal,
  type SessionInput,
  systemIdentifierOf,
} from "./wal_session.ts";

/** Milliseconds since the process began: no further file is begun after this … */
const AHEAD_BEGIN_MS = 550;
/** … and what is not acknowledged by then is left to the next call: none may last a second. */
const AHEAD_END_MS = 900;
/** Fewer files are not worth a process of their own. */
const WORTH_A_PROCESS = 3;
/** A process of our own ends when PostgreSQL asks for nothing for so long. */
const RUNNER_IDLE_MS = 1_500;

/**
 * Goes on with what waits behind the file that was asked for: by another process when there is
 * much, else, or where none can be started, in this call as long as it stays short.
 */
export async function lookAhead(
  { settings, signal, log, flags, clock = systemClock }: PushInput,
  { path, name, spool, parts, stop }: AskedFile & {
    readonly parts: WalPushParts;
    readonly stop: AbortSignal;
  },
): Promise<void> {
  const walFolder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
  const names = readyFiles(walFolder).filter((ready) => ready.name !== name)
    .slice(0, settings.lookAhead);
  if (!spool || names.length === 0) return;
  if (names.length >= WORTH_A_PROCESS) {
    const folder = Deno.realPathSync(walFolder);
    const args = ["wal-push", "--ahead", folder, name, ...flags];
    if (spool.runner.isLit || startBackground(args)) return;
  }
  const limits = [signal, stop, AbortSignal.timeout(Math.max(0, AHEAD_END_MS - clock.monotonic()))];
  const marked = await pushAhead({ ...parts, spool }, {
    ...{ walFolder, names, clock, until: AHEAD_BEGIN_MS },
    signal: AbortSignal.any(limits),
  });
  const message = `pushed ${marked} files ahead`;
  log.write("debug", "wal.pushed_ahead", { message, files: marked });
}

/** What the process of its own does: `wal-push --ahead PG_WAL ASKED`. */
export async function runLookAhead(
  session: SessionInput,
  parsed: WalArguments,
): Promise<void> {
  const { env, signal, log, clock = systemClock } = session;
  const [walFolder = "", asked = ""] = parsed.positionals;
  // Read once more: the spool may be another one later.
  const { settings, isCurrent } = await watchWalSettings(settingsInput(parsed, env));
  const input = { ...session, settings };
  const systemIdentifier = systemIdentifierOf(walFolder.replace(/\/[^/]*$/, ""));
  const spool = openSpool(settings, { env, systemIdentifier });
  if (!spool?.runner) return;
  const { runner } = spool;
  if (!runner.light()) return;
  try {
    const opened = await openStoreOf(input);
    const place = { cluster: settings.cluster, systemIdentifier };
    const { conditionalPut } = await prepareRepository(opened, {
      ...{ settings, env, place, spool, takeOver: false, signal, log },
    });
    const codec = { algorithm: "zstd", level: settings.zstdLevel } as const;
    const dataDirectory = walFolder.replace(/\/[^/]*$/, "");
    const seal = await pushSeal(settings, { store: opened.store, spool, dataDirectory, signal });
    await runAhead({ store: opened.store, place, codec, conditionalPut, spool, ...seal }, {
      ...{ walFolder, asked, clock, signal, isCurrent },
      ...{ lookAhead: settings.lookAhead, idleMs: RUNNER_IDLE_MS },
    });
  } finally {
    runner.quench();
  }
}
