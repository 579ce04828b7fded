/**
 * Builds the alerts that the configuration asks for. Secrets are read here and not before: a file
 * that is missing must break the one channel that needs it, and no backup.
 *
 * @module
 */
import type { Config, Environment } from "../../config/config.ts";
import type { Clock } from "../../domain/clock.ts";
import { briefReason } from "../../log/told_reason.ts";
import { AlertManager } from "../../service/alerts/alert_manager.ts";
import type { Channel } from "../../service/alerts/channels/channel.ts";
import { EmailChannel } from "../../service/alerts/channels/email_channel.ts";
import { Heartbeat } from "../../service/alerts/channels/heartbeat.ts";
import { WebhookChannel } from "../../service/alerts/channels/webhook_channel.ts";
import { DeliveryError } from "../../service/alerts/delivery_error.ts";
import { DurableFolder } from "../../service/alerts/queue/durable_folder.ts";
import { DiskFolder, type FolderFiles } from "../../service/alerts/queue/folder_files.ts";
import { MemoryFiles } from "../../service/alerts/queue/memory_files.ts";
import { type OpenedFiles, openFiles } from "../../service/alerts/queue/open_files.ts";
import { isQuietTime, type QuietTime } from "../../service/alerts/quiet_times.ts";
import { confirmLooks } from "../../service/alerts/rules/evaluate_rules.ts";
import type { RuleLimits } from "../../service/alerts/rules/rule.ts";
import { stateFolder } from "../open_parts.ts";

/** Alerts, ready to be used. */
export interface Alerts {
  readonly manager: AlertManager;
  readonly channels: readonly Channel[];
  readonly heartbeat: Heartbeat | undefined;
  readonly limits: RuleLimits;
  /** What people are to be warned of: alerts are sent, but nowhere kept. */
  readonly unkept: string | undefined;
}

/** What {@link openAlerts} works with. */
export interface AlertParts {
  readonly env: Environment;
  readonly clock: Clock;
  /** Keeps alerts where no folder can; those who open again give the same. */
  readonly memory?: FolderFiles;
}

type AlertConfig = Config["alerts"];

const UNKEPT = "they are sent, but once this process has ended, none that failed is sent again, " +
  "and none is told apart from earlier ones";

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** Contacts nobody. Where no folder can be written, alerts are kept in memory. */
export async function openAlerts(config: Config, parts: AlertParts): Promise<Alerts> {
  const { clock } = parts;
  const { files, fault } = await openKept(config, parts);
  const folder = new DurableFolder(files, { now: () => clock.now() });
  const channels = await openChannels(config, clock);
  const { alerts, cluster } = config;
  const quiet = alerts.quiet.map(quietTime);
  const manager = new AlertManager({
    ...{ cluster, folder, clock, channels },
    host: Deno.hostname(),
    telling: {
      repeatMs: alerts.repeat,
      resolveAfterMs: alerts.resolve_after,
      isQuiet: (now) => isQuietTime(quiet, now),
      confirmLooks,
    },
  });
  const heartbeat = await openHeartbeat(config);
  // Where nobody is told anything, there is nothing to warn of.
  const unkept = fault !== undefined && channels.length > 0 ? `${fault}: ${UNKEPT}` : undefined;
  return { manager, channels, heartbeat, limits: limitsOf(config), unkept };
}

/** The folder of the disk, or why it cannot be that. */
async function openKept(
  config: Config,
  { env, clock, memory = new MemoryFiles({ now: () => clock.now() }) }: AlertParts,
): Promise<OpenedFiles> {
  const base = stateFolder(config, env);
  if (base === undefined) {
    const hint = "set HOME, XDG_STATE_HOME or STATE_DIRECTORY";
    return { files: memory, fault: `alerts have no folder to be kept in (${hint})` };
  }
  const { files, fault } = await openFiles(new DiskFolder(`${base}/alerts`), memory);
  if (fault === undefined) return { files, fault };
  return { files, fault: `alerts cannot be kept in ${base}/alerts (${fault})` };
}

/** Every channel of the configuration, e-mail first. */
export async function openChannels(
  { alerts }: Config,
  clock: Clock,
): Promise<readonly Channel[]> {
  const hooks = alerts.webhooks.map(async (hook, index) => {
    const name = hook.name ?? `${hook.kind}-${index + 1}`;
    const { url, kind, secret_file, ca_file } = hook;
    return await orBroken(name, async () => {
      const secret = hook.secret ?? await secretIn(secret_file);
      const ca = await readFile(ca_file);
      return new WebhookChannel({
        ...{ name, url, kind, repeatMs: alerts.repeat, now: () => clock.now() },
        ...(secret !== undefined && { secret }),
        ...(ca !== undefined && { ca }),
      });
    });
  });
  const email = alerts.email ? [openEmail(alerts.email)] : [];
  return distinct(await Promise.all([...email, ...hooks]));
}

/** Of two channels with one name the second gets another: the queue knows them by it. */
function distinct(channels: readonly Channel[]): readonly Channel[] {
  const taken = new Set<string>();
  return channels.map((channel) => {
    let name = channel.name;
    for (let count = 2; taken.has(name); count++) name = `${channel.name}-${count}`;
    taken.add(name);
    if (name === channel.name) return channel;
    const { target } = channel;
    return { name, target, send: (message, options) => channel.send(message, options) };
  });
}

async function openEmail(email: NonNullable<AlertConfig["email"]>): Promise<Channel> {
  const { host, port, tls, user, from, to, password_file, ca_file } = email;
  return await orBroken("email", async () => {
    const password = email.password ?? await secretIn(password_file);
    const ca = await readFile(ca_file);
    return new EmailChannel({
      ...{ name: "email", host, port, tls, from, to },
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      ...(ca !== undefined && { ca }),
    });
  });
}

async function openHeartbeat({ alerts }: Config): Promise<Heartbeat | undefined> {
  if (!alerts.heartbeat) return undefined;
  const { url, ca_file } = alerts.heartbeat;
  const ca = await readFile(ca_file).catch(() => undefined);
  return new Heartbeat({ url, ...(ca !== undefined && { ca }) });
}

/** A channel whose files cannot be read says so whenever it is used. */
async function orBroken(name: string, open: () => Promise<Channel>): Promise<Channel> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    return {
      name,
      target: "a channel that is not configured right",
      send: () => Promise.reject(error),
    };
  }
}

async function secretIn(file: string | undefined): Promise<string | undefined> {
  return (await readFile(file))?.replace(/\r?\n$/, "");
}

async function readFile(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const reason = briefReason(error);
    throw new DeliveryError(`${file} cannot be read: ${reason}`, {
      hint: "the alerts section of the configuration names it; may this user read it?",
      cause: error,
    });
  }
}

function quietTime({ from, to, days, timezone }: AlertConfig["quiet"][number]): QuietTime {
  return {
    from: minutes(from),
    to: minutes(to),
    ...(days && { days: days.map((day) => DAYS.indexOf(day)) }),
    ...(timezone !== undefined && { timezone }),
  };
}

function minutes(time: string): number {
  const [hours = 0, rest = 0] = time.split(":").map(Number);
  return hours * 60 + rest;
}

/** Pruning is missed only where there is something to prune by. */
function limitsOf({ alerts: { rules }, retention }: Config): RuleLimits {
  return {
    fullMaxAge: rules.full_max_age,
    walLag: rules.wal_lag,
    diskFree: rules.disk_free,
    pruneMaxAge: retention === undefined ? undefined : rules.prune_max_age,
    drillMaxAge: rules.drill_max_age,
    verifyMaxAge: rules.verify_max_age,
    scheduleLate: rules.schedule_late,
    expiryWarning: rules.expiry_warning,
  };
}
