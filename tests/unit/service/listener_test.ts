import assert from "node:assert/strict";
import { type Route, type Routes, startListener } from "../../../src/service/service.ts";
import { withDeadline } from "../../../src/service/with_deadline.ts";

const TOKEN = "0123456789abcdef0123";
const routes: Routes = new Map<string, Route>([
  ["/plain", { handle: () => new Response("plain") }],
  ["/healthz", { handle: () => new Response("ok"), open: true }],
  ["/status/*", { handle: (request: Request) => new Response(new URL(request.url).pathname) }],
  ["/status/own", { handle: () => new Response("own") }],
  ["/broken", {
    handle: () => {
      throw new Error("secret detail");
    },
  }],
]);

/** Listens, asks, and stops. */
async function ask(
  path: string,
  { token, headers = {}, method = "GET", errors = [] }: {
    readonly token?: string;
    readonly headers?: Record<string, string>;
    readonly method?: string;
    readonly errors?: unknown[];
  } = {},
): Promise<{ status: number; body: string; headers: Headers }> {
  const onError = (error: unknown) => void errors.push(error);
  await using listener = startListener({
    ...{ address: "127.0.0.1:0", routes, onError },
    ...(token !== undefined && { token }),
  });
  const host = headers["host"] ?? listener.address;
  const lines = Object.entries(headers).filter(([name]) => name !== "host");
  using socket = await Deno.connect({
    hostname: "127.0.0.1",
    port: Number(listener.address.split(":").at(-1)),
  });
  const head = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    ...lines.map(([k, v]) => `${k}: ${v}`),
  ];
  await socket.write(
    new TextEncoder().encode(`${head.join("\r\n")}\r\nConnection: close\r\n\r\n`),
  );
  const text = await new Response(socket.readable).text();
  const [top = "", body = ""] = text.split(/\r\n\r\n(.*)/s);
  const [first = "", ...rest] = top.split("\r\n");
  const pairs = rest.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]);
  return { status: Number(first.split(" ")[1]), body, headers: new Headers(pairs) };
}

Deno.test("startListener() answers at exact paths and below those that end in a star", async () => {
  assert.match((await ask("/plain")).body, /plain/);
  assert.match((await ask("/status/a/b")).body, /\/status\/a\/b/);
  assert.match((await ask("/status/own")).body, /own/);
  assert.equal((await ask("/status")).status, 404);
  assert.equal((await ask("/status/*")).status, 200);
  assert.equal((await ask("/none")).status, 404);
});

Deno.test("startListener() only reads", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    assert.equal((await ask("/plain", { method })).status, 405, method);
  }
  const head = await ask("/plain", { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, ""]);
});

Deno.test("startListener() sends headers that keep pages from doing harm", async () => {
  const { headers } = await ask("/plain");
  assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("cache-control"), "no-store");
});

Deno.test("startListener() answers no host name but this machine's on loopback", async () => {
  for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"]) {
    assert.equal((await ask("/plain", { headers: { host } })).status, 421, host);
  }
  for (const host of ["localhost:9187", "127.0.0.1", "[::1]:9187"]) {
    assert.equal((await ask("/plain", { headers: { host } })).status, 200, host);
  }
});

Deno.test("startListener() wants the token on every page that is not open", async () => {
  const basic = (text: string) => ({ authorization: `Basic ${btoa(text)}` });
  assert.equal((await ask("/plain", { token: TOKEN })).status, 401);
  assert.equal((await ask("/none", { token: TOKEN })).status, 401);
  assert.equal((await ask("/healthz", { token: TOKEN })).status, 200);
  const wrong = [
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: "Bearer " },
    { authorization: TOKEN },
    { authorization: `Digest ${TOKEN}` },
    { authorization: "Basic !!!" },
    basic(TOKEN),
    basic(`${TOKEN}:`),
  ];
  for (const headers of wrong) {
    assert.equal((await ask("/plain", { token: TOKEN, headers })).status, 401, String(headers));
  }
  for (const headers of [{ authorization: `bearer ${TOKEN}` }, basic(`anyone:${TOKEN}`)]) {
    assert.equal((await ask("/plain", { token: TOKEN, headers })).status, 200);
  }
});

Deno.test("startListener() tells the client nothing of what a page threw", async () => {
  const errors: unknown[] = [];
  const { status, body } = await ask("/broken", { errors });
  assert.equal(status, 500);
  assert.doesNotMatch(body, /secret/);
  assert.equal(errors.length, 1);
});

Deno.test("startListener() refuses an address of others without a token, and a short one", () => {
  const onError = () => {};
  for (const address of ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0"]) {
    assert.throws(() => startListener({ address, routes, onError }), /listen_token is not set/);
  }
  const short = { address: "127.0.0.1:0", routes, onError, token: "short" };
  assert.throws(() => startListener(short), /needs 16/);
});

Deno.test("startListener() is closed though a client does not read what it asked for", async () => {
  const routes = new Map([["/", { handle: () => new Response("x".repeat(30_000_000)) }]]);
  const listener = startListener({ address: "127.0.0.1:0", onError: () => {}, routes });
  const port = Number(listener.address.split(":").at(-1));
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
  await client.read(new Uint8Array(1));
  const closing = async () => await listener[Symbol.asyncDispose]();
  await withDeadline(closing, { limit: 20_000, late: () => new Error("it waits for the client") });
});

Deno.test("startListener() says which address is taken", async () => {
  const onError = () => {};
  await using first = startListener({ address: "127.0.0.1:0", routes, onError });
  assert.throws(
    () => startListener({ address: first.address, routes, onError }),
    { name: "ConfigError", message: new RegExp(`cannot listen on ${first.address}`) },
  );
});
