/**
 * The daemon's HTTP listener: a small router, and the rules that hold for every page. Pages only
 * read. On a loopback address everybody on the machine may look; any other address needs a token.
 *
 * @module
 */
import { ConfigError } from "../domain/errors.ts";
import {
  isLoopback,
  type ListenAddress,
  listenFault,
  parseListenAddress,
} from "../domain/listen_address.ts";
import { hostAllowed, tokenAllowed } from "./listener_access.ts";

/** Answers a GET or HEAD. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** One path and what answers there. */
export interface Route {
  readonly handle: Handler;
  /** Answered without the token: only for pages that tell nothing, such as /healthz. */
  readonly open?: boolean;
}

/**
 * By path: `/metrics`. A path that ends in `/*` answers for everything below it that has no route
 * of its own; the longest such one wins.
 */
export type Routes = ReadonlyMap<string, Route>;

/** Where and what to listen to. */
export interface ListenerOptions {
  /** `127.0.0.1:9187`, `[::1]:9187`; port 0 takes any free one. */
  readonly address: string;
  readonly routes: Routes;
  /** As `Authorization: Bearer` or as the password of Basic. */
  readonly token?: string;
  /** Told what a handler threw; the client only learns that it failed. */
  readonly onError: (error: unknown) => void;
}

/** A listener at work; disposing of it closes it. */
export interface Listener extends AsyncDisposable {
  /** With the port that it really has. */
  readonly address: string;
}

/** Milliseconds that a page may take. */
const PATIENCE = 15_000;
/** Milliseconds that clients have to read what they asked for, once the listener is closed. */
const LAST_WORDS = 2_000;

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

/**
 * Starts to listen.
 *
 * @throws {ConfigError} when the address needs a token and has none, or cannot be had.
 */
export function startListener(options: ListenerOptions): Listener {
  const { hostname, port } = splitAddress(options.address);
  const loopback = isLoopback(hostname);
  checkToken(options, hostname);
  try {
    const handler = (request: Request) => answer(request, { ...options, loopback });
    const server = Deno.serve({ hostname, port, onListen: () => {} }, handler);
    const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
    return {
      address: `${shown}:${server.addr.port}`,
      async [Symbol.asyncDispose]() {
        const { promise: late, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, LAST_WORDS);
        await Promise.race([server.shutdown(), late]);
        clearTimeout(timer);
      },
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      `cannot listen on ${options.address}: ${reason.replace(/ \(os error \d+\)$/, "")}`,
      "is another daemon or program listening there? --listen names another address",
      { cause: error },
    );
  }
}

function checkToken({ address, token }: ListenerOptions, hostname: string): void {
  const fault = listenFault({ hostname, ...(token !== undefined && { token }) });
  if (fault === undefined) return;
  throw new ConfigError(`${fault.ofToken ? "listen_token" : address} ${fault.what}`, fault.hint);
}

function splitAddress(address: string): ListenAddress {
  const parsed = parseListenAddress(address);
  if (parsed !== undefined) return parsed;
  throw new ConfigError(`"${address}" is not an address to listen on`, "such as 127.0.0.1:9187");
}

async function answer(
  request: Request,
  options: ListenerOptions & { readonly loopback: boolean },
): Promise<Response> {
  const response = await respond(request, options).catch((error) => {
    options.onError(error);
    return text(500, "this page failed; the daemon's log says why\n");
  });
  for (const [name, value] of Object.entries(HEADERS)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  if (request.method !== "HEAD") return response;
  await response.body?.cancel();
  return new Response(null, response);
}

async function respond(
  request: Request,
  { routes, token, loopback }: ListenerOptions & { readonly loopback: boolean },
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text(405, "these pages can only be read\n", { allow: "GET, HEAD" });
  }
  // A page of some web site that makes a browser on this machine ask must not be answered.
  if (loopback && token === undefined && !hostAllowed(request)) {
    return text(421, "this is not the host that was asked\n");
  }
  const route = routeOf(routes, new URL(request.url).pathname);
  if (token !== undefined && !route?.open && !tokenAllowed(request, token)) {
    const challenge = 'Basic realm="backupctl", charset="UTF-8"';
    return text(401, "a token is needed\n", { "www-authenticate": challenge });
  }
  if (!route) return text(404, "there is no such page\n");
  const { promise: late, resolve } = Promise.withResolvers<Response>();
  const timer = setTimeout(() => resolve(text(503, "this page took too long\n")), PATIENCE);
  try {
    return await Promise.race([Promise.resolve(route.handle(request)), late]);
  } finally {
    clearTimeout(timer);
  }
}

function routeOf(routes: Routes, path: string): Route | undefined {
  const exact = path.endsWith("/*") ? undefined : routes.get(path);
  if (exact) return exact;
  const below = [...routes.keys()]
    .filter((key) => key.endsWith("/*") && path.startsWith(key.slice(0, -1)))
    .sort((a, b) => b.length - a.length);
  return below[0] === undefined ? undefined : routes.get(below[0]);
}

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
