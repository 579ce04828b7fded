import { ConfigError, UsageError } from "../../domain/errors.ts";
import { nearest } from "../../domain/nearest.ts";
import type { ChannelTest } from "../../service/alerts/alert_manager.ts";
import { DeliveryError } from "../../service/alerts/delivery_error.ts";
import { escapeControl } from "../../log/format_record.ts";
import { type Alerts, openAlerts } from "../alerts/open_alerts.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { loadSettings } from "../session.ts";

type Line = CommandOf<"alert test">;

/** Sends a message through each channel, and says how each took it. */
export const alertTest: Command<Line> = async (line, context) => {
  const { config } = await loadSettings(context);
  const alerts = await openAlerts(config, context);
  if (alerts.unkept !== undefined) {
    context.terminal.stderr.write(`warning: ${escapeControl(alerts.unkept)}\n`);
  }
  const results = await test(alerts, { line, context });
  print(results, context);
  return results.some(({ error }) => error !== undefined) ? 1 : 0;
};

async function test(
  { manager, channels, heartbeat }: Alerts,
  { line, context: { signal } }: { readonly line: Line; readonly context: Context },
): Promise<readonly ChannelTest[]> {
  const names = [...channels.map(({ name }) => name), ...(heartbeat ? ["heartbeat"] : [])];
  if (names.length === 0) {
    throw new ConfigError(
      "no channel is configured, so nobody hears of any alert",
      "set alerts.email, alerts.webhooks or alerts.heartbeat; docs/alerts.md shows each",
    );
  }
  const wanted = line.channels.length === 0 ? names : line.channels;
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, names);
    throw new UsageError(
      `there is no channel ${JSON.stringify(unknown)}`,
      near ? `did you mean ${near}?` : `there are ${names.join(", ")}`,
    );
  }
  const [sent, beaten] = await Promise.all([
    manager.test(channels.filter(({ name }) => wanted.includes(name)), { signal }),
    heartbeat && wanted.includes("heartbeat") ? [await beat(heartbeat, signal)] : [],
  ]);
  return [...sent, ...beaten];
}

async function beat(
  heartbeat: NonNullable<Alerts["heartbeat"]>,
  signal: AbortSignal,
): Promise<ChannelTest> {
  const { target } = heartbeat;
  try {
    await heartbeat.beat({ signal });
    return { channel: "heartbeat", target, error: undefined };
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    return { channel: "heartbeat", target, error };
  }
}

function print(results: readonly ChannelTest[], context: Context): void {
  printResult(context, {
    json: () => ({
      schema: "backupctl.alert_test/1",
      ok: results.every(({ error }) => error === undefined),
      channels: results.map(({ channel, target, error }) => ({
        channel,
        target,
        delivered: error === undefined,
        ...(error && { message: error.message, ...(error.hint && { hint: error.hint }) }),
      })),
    }),
    text: () => results.map((result) => resultText(result, context)).join(""),
  });
}

function resultText({ channel, target, error }: ChannelTest, { terminal }: Context): string {
  const { color } = terminal.stdout;
  const [code, word] = error ? ["31", "failed "] : ["32", "ok     "];
  const shown = color ? `\x1b[${code}m${word}\x1b[0m` : word;
  const lines = error ? [error.message, ...(error.hint ? [error.hint] : [])] : [target];
  const indent = `\n${" ".repeat(26)}`;
  return `${shown}  ${channel.padEnd(17)}${lines.map(escapeControl).join(indent)}\n`;
}
