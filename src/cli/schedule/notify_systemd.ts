import type { Environment } from "../../config/config.ts";

/**
 * Tells systemd how the daemon is, when systemd asks to be told. sd_notify(3): datagrams to
 * NOTIFY_SOCKET, which Deno has no stable call for; so by the program systemd-notify, and the unit
 * needs NotifyAccess=all.
 */
export class SystemdNotifier {
  readonly #env: Environment;
  #working = true;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** Milliseconds within which a sign of life is expected; undefined when none is. */
  get watchdogMs(): number | undefined {
    const { WATCHDOG_USEC: span, WATCHDOG_PID: pid } = this.#env;
    if (!this.#env["NOTIFY_SOCKET"] || !span || !/^\d{1,15}$/.test(span)) return undefined;
    if (pid && Number(pid) !== Deno.pid) return undefined;
    return Number(span) / 1000;
  }

  /** `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=…`. Never throws. @returns whether it was told. */
  async tell(...messages: readonly string[]): Promise<boolean> {
    const socket = this.#env["NOTIFY_SOCKET"];
    if (!socket || !this.#working) return false;
    try {
      const { success } = await new Deno.Command("systemd-notify", {
        args: [...messages],
        env: { NOTIFY_SOCKET: socket, PATH: this.#env["PATH"] ?? "/usr/bin:/bin" },
        clearEnv: true,
        ...{ stdin: "null", stdout: "null", stderr: "null" },
      }).output();
      return success;
    } catch {
      this.#working = false;
      return false;
    }
  }
}
