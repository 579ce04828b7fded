/**
 * A real Chromium, driven by the DevTools protocol: what a page looks like, and what it asks for.
 *
 * @module
 */

/** How a page is looked at. */
export interface Look {
  readonly width: number;
  readonly height?: number;
  readonly dark?: boolean;
}

/** What a visit showed. */
export interface Visit {
  /** Every address that was asked for. */
  readonly requests: readonly string[];
  /** What the browser complained of: refused styles, scripts, images. */
  readonly complaints: readonly string[];
  /** Runs JavaScript in the page, with the page's own policy not applying to it. */
  evaluate<T>(expression: string): Promise<T>;
  /** A PNG of the whole page. */
  screenshot(): Promise<Uint8Array>;
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** The path of a browser; undefined when this machine has none. */
export async function findChromium(): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    for (const name of NAMES) {
      const found = await Deno.stat(`${folder}/${name}`).catch(() => undefined);
      if (found?.isFile) return `${folder}/${name}`;
    }
  }
  return undefined;
}

/** One browser with a profile of its own. */
export class Chromium implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #listeners = new Set<(reply: Reply) => void>();
  readonly #drained: Promise<void>;
  #next = 1;

  private constructor(
    process: Deno.ChildProcess,
    { profile, socket, drained }: {
      readonly profile: string;
      readonly socket: WebSocket;
      readonly drained: Promise<void>;
    },
  ) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    this.#drained = drained;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(String(data)));
  }

  static async start(path: string): Promise<Chromium> {
    const profile = await Deno.makeTempDir();
    const process = new Deno.Command(path, {
      args: [
        ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        ...["--hide-scrollbars", "--no-first-run", "--disable-background-networking"],
        ...[`--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank"],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const { address, drained } = await debuggerAddress(process);
    const socket = new WebSocket(address);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("the browser's debugger cannot be reached"));
    await promise;
    return new Chromium(process, { profile, socket, drained });
  }

  /** Opens an address and waits until it is loaded. */
  async visit(url: string, { width, height = 900, dark = false }: Look): Promise<Visit> {
    const { targetId } = await this.#call("Target.createTarget", { url: "about:blank" });
    const attached = await this.#call("Target.attachToTarget", { targetId, flatten: true });
    const session = String(attached["sessionId"]);
    const call = (method: string, params = {}) => this.#call(method, params, session);
    const [requests, complaints]: [string[], string[]] = [[], []];
    const loaded = Promise.withResolvers<void>();
    this.#listeners.add(({ method, params = {} }) => {
      if (method === "Network.requestWillBeSent") {
        requests.push((params["request"] as { url: string }).url);
      }
      if (method === "Log.entryAdded") complaints.push((params["entry"] as { text: string }).text);
      if (method === "Page.loadEventFired") loaded.resolve();
    });
    for (const domain of ["Page", "Network", "Log", "Runtime"]) await call(`${domain}.enable`);
    await call("Emulation.setDeviceMetricsOverride", {
      ...{ width, height, deviceScaleFactor: 1, mobile: width < 600 },
    });
    await call("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    await call("Page.navigate", { url });
    await loaded.promise;
    return {
      requests,
      complaints,
      evaluate: async <T>(expression: string) => {
        const answer = await call("Runtime.evaluate", { expression, returnByValue: true });
        return (answer["result"] as { value: T }).value;
      },
      screenshot: async () => {
        const shot = await call("Page.captureScreenshot", { captureBeyondViewport: true });
        return Uint8Array.fromBase64(String(shot["data"]));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.withResolvers<void>();
    this.#socket.onclose = () => closed.resolve();
    this.#socket.send(JSON.stringify({ id: this.#next++, method: "Browser.close" }));
    await closed.promise;
    await this.#process.status;
    await this.#drained;
    await Deno.remove(this.#profile, { recursive: true }).catch(() => {});
  }

  async #call(
    method: string,
    params: Record<string, unknown> = {},
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const reply = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, reply);
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
    return await reply.promise;
  }

  #receive(reply: Reply): void {
    if (reply.id === undefined) {
      for (const listener of this.#listeners) listener(reply);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.error) waiting?.reject(new Error(reply.error.message));
    else waiting?.resolve(reply.result ?? {});
  }
}

/** Where the browser's debugger listens, as it says on standard error; the rest is thrown away. */
async function debuggerAddress(process: Deno.ChildProcess) {
  const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the browser ended: ${text}`);
    text += value;
    const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (address === undefined) continue;
    const drained = (async () => {
      while (!(await reader.read()).done);
    })();
    return { address, drained };
  }
}
