import type { RunRecord } from "../../catalog/run_record.ts";
import { lookAtRun } from "../../service/alerts/rules/evaluate_rules.ts";
import type { Context } from "../context.ts";
import type { Session } from "../session.ts";
import { type Alerts, openAlerts } from "./open_alerts.ts";

/** Milliseconds that a command may take longer for its alerts. */
const PATIENCE = 10_000;

/**
 * Tells people how a run ended, when that is news, and what waited to be told. For commands that
 * cron starts: where a daemon watches, both share what they have told already. Never throws, and
 * changes no exit status.
 */
export async function alertOnRun(
  session: Session,
  context: Context,
  run: RunRecord,
): Promise<void> {
  const look = lookAtRun(run);
  if (!look) return;
  const { loaded: { config }, log } = session;
  try {
    const alerts = await openAlerts(config, context);
    if (alerts.unkept !== undefined) {
      log.warning("alert.not_kept", alerts.unkept, { cluster: config.cluster });
    }
    const limit = AbortSignal.timeout(PATIENCE);
    await alerts.manager.look(look, { signal: limit });
    await tell(alerts, { session, limit });
    if (run.outcome === "succeeded" && run.operation.startsWith("backup ")) {
      await alerts.heartbeat?.beat({ signal: limit });
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warning("alert.not_delivered", `alerts failed: ${reason}`, { cluster: config.cluster });
  }
}

async function tell(
  { manager }: Alerts,
  { session: { log, loaded }, limit }: { readonly session: Session; readonly limit: AbortSignal },
): Promise<void> {
  const { cluster } = loaded.config;
  // A little less than the limit, so that what a channel says of its failure is still heard.
  const { deliveries, waiting } = await manager.deliverWithin(PATIENCE - 1_000, { signal: limit });
  for (const { channel, error } of deliveries) {
    if (!error) log.info("alert.sent", `an alert was sent by ${channel}`, { cluster, channel });
  }
  const failed = new Map(
    deliveries.flatMap(({ channel, error }) => error ? [[channel, error]] : []),
  );
  for (const [channel, error] of failed) {
    log.warning("alert.not_delivered", `no alert by ${channel} so far: ${error.message}`, {
      ...{ cluster, channel, waiting },
    });
  }
}
