import type { LoadedConfig } from "../../config/config.ts";
import { counted } from "../../domain/counted.ts";
import { ConfigError } from "../../domain/errors.ts";
import type { Log } from "../../log/log.ts";
import { pause } from "../../domain/pause.ts";
import {
  type Listener,
  metricsRoutes,
  RunCounter,
  ScheduleLedger,
  Scheduler,
  type ServiceSnapshot,
  SnapshotKeeper,
  startListener,
} from "../../service/service.ts";
import { pageRoutes } from "../../service/page/page_routes.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { AlertWatch } from "../alerts/alert_watch.ts";
import type { Context } from "../context.ts";
import { openStore } from "../open_parts.ts";
import { loadSettings, type SettingsOptions } from "../session.ts";
import { DaemonReporter, openDaemonLog } from "./daemon_log.ts";
import { gatherWith } from "./gather_with.ts";
import { SystemdNotifier } from "./notify_systemd.ts";
import { processFamilies } from "./process_families.ts";
import { isAlive, processMark } from "./process_mark.ts";
import { readSchedule, scheduleFaults } from "./read_schedule.ts";
import { spawnEntry } from "./spawn_entry.ts";
import { StorageHistory } from "./storage_history.ts";

/** What the command line says of the daemon. */
export interface DaemonOptions {
  /** Run what is due, and end. */
  readonly once: boolean;
  /** Wins over the configuration. */
  readonly listen: string | undefined;
}

/** Milliseconds without a look at the clock after which something hangs. */
const HUNG = 120_000;

/** Everything that the daemon consists of. */
interface Parts {
  readonly context: Context;
  /** With it the configuration is read, at first and again. */
  readonly asked: SettingsOptions;
  readonly store: ObjectStore;
  readonly log: Log;
  readonly reporter: DaemonReporter;
  readonly scheduler: Scheduler;
  readonly ledger: ScheduleLedger;
  /** The last good one. */
  loaded: LoadedConfig;
  /** Why the last reload was refused. */
  configFault: string | undefined;
}

/**
 * Runs the schedule until it is stopped.
 *
 * @returns 0 after a signal; with `once`, the status of the first run that failed.
 * @throws {ConfigError} when it cannot begin.
 */
export async function runDaemon(context: Context, options: DaemonOptions): Promise<number> {
  const { listen } = options;
  const asked = {
    checkSchedule: scheduleFaults,
    ...(!options.once && { forDaemon: true, listen }),
  };
  const loaded = await loadSettings(context, asked);
  const entries = readSchedule(loaded);
  const { config } = loaded;
  const store = await openStore(config);
  const { log, format } = await openDaemonLog(context, loaded);
  try {
    const { cluster } = config;
    const host = Deno.hostname();
    const { clock } = context;
    const reporter = new DaemonReporter(log, { context, cluster });
    const process = await processMark(Deno.pid);
    const ledger = new ScheduleLedger(store, { cluster, clock, host, process, isAlive });
    const scheduler = new Scheduler({
      ...{ entries, cluster, ledger, clock, host, isAlive, markOf: processMark, sleep: pause },
      spawn: (entry) => spawnEntry(entry, { context, format }),
      tell: (event) => reporter.schedule(event),
    });
    const parts = { context, asked, store, log, reporter, scheduler, ledger, loaded };
    if (options.once) return await runOnce(parts);
    return await serve({ ...parts, configFault: undefined });
  } finally {
    await log[Symbol.asyncDispose]();
    await store.close?.();
  }
}

/** For cron, and for those who have another supervisor. */
async function runOnce({ scheduler, context }: Pick<Parts, "scheduler" | "context">) {
  const results = await scheduler.once(context.signal);
  return results.find(({ exitStatus }) => exitStatus !== 0 && exitStatus !== undefined)
    ?.exitStatus ?? 0;
}

async function serve(parts: Parts): Promise<number> {
  const { context, log, reporter, scheduler, loaded: { config } } = parts;
  const { signal } = context;
  const systemd = new SystemdNotifier(context.env);
  const runs = new RunCounter();
  const keeper = new SnapshotKeeper({
    clock: context.clock,
    gather: gatherWith(parts),
    onError: (error) => reporter.trouble("daemon.trouble", error),
  });
  keeper.onTick((snapshot) => runs.observe(snapshot));
  const alerts = new AlertWatch({ ...parts, loaded: () => parts.loaded });
  keeper.onTick((snapshot) => alerts.tick(snapshot));
  const storage = new StorageHistory(context.clock);
  keeper.onTick(async () => await storage.refresh(parts.loaded.config, context).catch(() => {}));
  const listener = listen(parts, { keeper, runs, alerts, storage });
  let reloading = Promise.resolve();
  // One at a time, so that the file that was read last is the one that applies.
  const onReload = () => {
    reloading = reloading.then(() => reload(parts)).finally(() => keeper.hurry());
  };
  Deno.addSignalListener("SIGHUP", onReload);
  try {
    const count = scheduler.snapshot().length;
    const where = listener ? `, pages on http://${listener.address}` : "";
    log.info(
      "daemon.started",
      `${counted(count, "entry", "entries")} of cluster ${config.cluster}${where}`,
      {
        ...{ cluster: config.cluster, entries: count, pid: Deno.pid },
        ...(listener && { listen: listener.address }),
      },
    );
    const gathering = keeper.run(signal);
    const watching = tellSystemd(systemd, { scheduler, signal });
    signal.addEventListener("abort", () => stopping(parts, systemd), { once: true });
    await scheduler.run(signal);
    await Promise.all([gathering, watching]);
    log.info("daemon.stopped", "stopped", { cluster: config.cluster });
    return 0;
  } finally {
    Deno.removeSignalListener("SIGHUP", onReload);
    await listener?.[Symbol.asyncDispose]();
  }
}

function listen(
  parts: Parts,
  { keeper, runs, alerts, storage }: {
    readonly keeper: SnapshotKeeper;
    readonly runs: RunCounter;
    readonly alerts: AlertWatch;
    readonly storage: StorageHistory;
  },
): Listener | undefined {
  const { loaded: { config }, scheduler, reporter } = parts;
  if (config.listen === undefined) return undefined;
  const snapshot = () => current(parts, keeper);
  const metrics = metricsRoutes({
    snapshot,
    fault: () => scheduler.silence > HUNG ? "the scheduler hangs" : undefined,
    more: () => [runs.family(), ...processFamilies()],
  });
  const page = { snapshot, alerts: () => alerts.open(), storage: () => storage.points };
  return startListener({
    address: config.listen,
    routes: new Map([...metrics, ...pageRoutes(page)]),
    ...(config.listen_token !== undefined && { token: config.listen_token }),
    onError: (error) => reporter.trouble("daemon.trouble", error),
  });
}

/** The newest snapshot, with what this process knows without asking. */
function current(
  { scheduler, ledger }: Parts,
  keeper: SnapshotKeeper,
): ServiceSnapshot | undefined {
  const { latest } = keeper;
  return latest && {
    ...latest,
    schedule: scheduler.snapshot(),
    leader: { here: ledger.leads, holder: ledger.holder },
  };
}

/** Takes a new configuration as a whole, or keeps the old one as a whole. */
async function reload(parts: Parts): Promise<void> {
  const { context, asked, log, scheduler } = parts;
  try {
    const loaded = await loadSettings(context, asked);
    const before = parts.loaded.config;
    refuseMove(before, loaded.config);
    scheduler.reload(readSchedule(loaded));
    parts.loaded = loaded;
    parts.configFault = undefined;
    const { schedule: _s, alerts: _a, ...rest } = loaded.config;
    const { schedule: _t, alerts: _b, ...restBefore } = before;
    const same = JSON.stringify(rest) === JSON.stringify(restBefore);
    const note = same ? "" : "; what is not of the schedule applies to its runs now, " +
      "and to the daemon itself after a restart";
    log.info("daemon.reloaded", `the configuration was read again${note}`, {
      cluster: before.cluster,
    });
  } catch (error) {
    parts.configFault = error instanceof Error ? error.message : String(error);
    log.error(
      "daemon.reload_refused",
      `the configuration is not in order; the one before it goes on: ${parts.configFault}`,
      { cluster: parts.loaded.config.cluster },
    );
  }
}

/** The ledger, the figures and the runs must be of one repository. */
function refuseMove(before: LoadedConfig["config"], now: LoadedConfig["config"]): void {
  const place = ({ cluster, repository }: LoadedConfig["config"]) =>
    JSON.stringify([cluster, repository]);
  if (place(before) === place(now)) return;
  throw new ConfigError("the cluster or the repository is another one", "restart the daemon");
}

function stopping({ log, loaded, scheduler }: Parts, systemd: SystemdNotifier): void {
  const busy = scheduler.busy ? "; waiting for what is being run to end" : "";
  log.info("daemon.stopping", `asked to stop${busy}`, { cluster: loaded.config.cluster });
  systemd.tell("STOPPING=1").catch(() => {});
}

async function tellSystemd(
  systemd: SystemdNotifier,
  { scheduler, signal }: { readonly scheduler: Scheduler; readonly signal: AbortSignal },
): Promise<void> {
  await systemd.tell("READY=1");
  const { watchdogMs } = systemd;
  if (watchdogMs === undefined) return;
  while (!signal.aborted) {
    if (scheduler.silence < HUNG) await systemd.tell("WATCHDOG=1");
    await pause(watchdogMs / 3, signal).catch(() => {});
  }
}
