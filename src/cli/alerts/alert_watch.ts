import type { LoadedConfig } from "../../config/config.ts";
import type { Log } from "../../log/log.ts";
import type { OpenAlert } from "../../service/alerts/alert_state.ts";
import { lookAt } from "../../service/alerts/rules/evaluate_rules.ts";
import { MemoryFiles } from "../../service/alerts/queue/memory_files.ts";
import type { ServiceSnapshot } from "../../service/service.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { Context } from "../context.ts";
import { withAlertFacts } from "./alert_facts.ts";
import { type Alerts, openAlerts } from "./open_alerts.ts";

/** Milliseconds that sending may hold up the next snapshot. */
const PATIENCE = 10_000;

/** What the daemon watches with. */
export interface WatchParts {
  readonly context: Pick<Context, "env" | "clock" | "signal">;
  readonly store: ObjectStore;
  readonly log: Log;
  /** The last good configuration; a reload changes it. */
  readonly loaded: () => LoadedConfig;
}

/** The daemon's alerts: looks at each snapshot, tells what is new, and beats the heart. */
export class AlertWatch {
  readonly #parts: WatchParts;
  /** The same after a reload, so that what was told is known. */
  readonly #memory: MemoryFiles;
  #alerts: { readonly loaded: LoadedConfig; readonly alerts: Alerts } | undefined;
  /** What was warned of last: once is enough. */
  #warned: string | undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#memory = new MemoryFiles({ now: () => parts.context.clock.now() });
  }

  /** The alerts that hold, oldest first. */
  async open(): Promise<readonly OpenAlert[]> {
    return await (await this.#current()).manager.openAlerts();
  }

  /** Looks at one snapshot. Throws nothing but bugs; a channel that is down is logged. */
  async tick(snapshot: ServiceSnapshot): Promise<void> {
    try {
      await this.#look(snapshot);
    } catch (error) {
      // The disk may have gone bad: the next look tries the folder anew, and does without it.
      this.#alerts = undefined;
      throw error;
    }
  }

  async #look(snapshot: ServiceSnapshot): Promise<void> {
    const { context: { env, signal }, store, loaded } = this.#parts;
    const alerts = await this.#current();
    if (isTakenCareOf(snapshot)) return;
    const { config } = loaded();
    const limit = AbortSignal.any([signal, AbortSignal.timeout(6 * PATIENCE)]);
    const facts = await withAlertFacts(snapshot, { config, env, store, signal: limit });
    const open = await alerts.manager.openAlerts();
    const toldFailures = open.filter(({ rule }) => rule === "run_failed")
      .map(({ since }) => new Date(since));
    const look = lookAt({ ...facts, toldFailures }, alerts.limits);
    await alerts.manager.look(look, { signal: limit });
    await this.#tell(alerts, limit);
    await this.#beat(alerts, limit);
  }

  /** Built again after a reload, since the channels may be others. */
  async #current(): Promise<Alerts> {
    const { context: { env, clock }, loaded } = this.#parts;
    const now = loaded();
    if (this.#alerts?.loaded === now) return this.#alerts.alerts;
    const alerts = await openAlerts(now.config, { env, clock, memory: this.#memory });
    this.#alerts = { loaded: now, alerts };
    this.#warn(alerts.unkept);
    return alerts;
  }

  #warn(unkept: string | undefined): void {
    const { log, loaded } = this.#parts;
    if (unkept !== undefined && unkept !== this.#warned) {
      log.warning("alert.not_kept", unkept, { cluster: loaded().config.cluster });
    }
    this.#warned = unkept;
  }

  async #tell({ manager }: Alerts, signal: AbortSignal): Promise<void> {
    const { log, loaded } = this.#parts;
    const { cluster } = loaded().config;
    const { deliveries, waiting } = await manager.deliverWithin(PATIENCE, { signal });
    for (const { channel, error } of deliveries) {
      const fields = { cluster, channel, waiting };
      if (!error) log.info("alert.sent", `an alert was sent by ${channel}`, fields);
      else log.warning("alert.not_delivered", `no alert by ${channel}: ${error.message}`, fields);
    }
  }

  async #beat({ heartbeat }: Alerts, signal: AbortSignal): Promise<void> {
    try {
      await heartbeat?.beat({ signal });
    } catch (error) {
      const { log, loaded } = this.#parts;
      const reason = error instanceof Error ? error.message : String(error);
      log.warning("alert.not_delivered", `the heartbeat failed: ${reason}`, {
        cluster: loaded().config.cluster,
      });
    }
  }
}

/**
 * Whether another daemon leads and tells: two that watch one cluster would tell everything twice.
 * Who cannot read the repository does not know who leads, and tells.
 */
function isTakenCareOf({ leader, repository }: ServiceSnapshot): boolean {
  return repository !== undefined && leader?.here === false && leader.holder !== undefined;
}
