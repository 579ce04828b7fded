import assert from "node:assert/strict";
import { type LightRequest, SocketTransport } from "../../../src/storage/light_transport.ts";
import { text } from "../../support/bodies.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Answers every request alike, and keeps what it was sent. */
class RawServer implements AsyncDisposable {
  readonly received: string[] = [];
  connections = 0;
  answer = OK;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #served = this.#serve();

  transport(): SocketTransport {
    const { port } = this.#listener.addr as Deno.NetAddr;
    const limits = { caCerts: [], connectMs: 10_000, idleMs: 60_000 };
    return new SocketTransport({ hostname: "127.0.0.1", port, tls: false, ...limits });
  }

  closeAll(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }

  async #serve(): Promise<void> {
    const served: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.connections += 1;
      this.#open.add(connection);
      served.push(this.#talk(connection).catch(() => {}));
    }
    await Promise.all(served);
  }

  async #talk(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const length = await connection.read(buffer);
      if (length === null) return this.#end(connection);
      this.received.push(new TextDecoder().decode(buffer.subarray(0, length)));
      await connection.write(text(this.answer));
    }
  }

  #end(connection: Deno.Conn): void {
    if (this.#open.delete(connection)) connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closeAll();
    this.#listener.close();
    await this.#served;
  }
}

const NEVER = new AbortController().signal;

function request(method: string, body?: string): LightRequest {
  const headers = { host: "x" };
  return { method, path: "/", headers, ...(body !== undefined && { body: text(body) }) };
}

async function send(
  transport: SocketTransport,
  asked: LightRequest,
  signal = NEVER,
): Promise<number> {
  const answer = await transport.exchange(asked, signal);
  while (await answer.read());
  return answer.status;
}

Deno.test("SocketTransport says how long a body is that is not there, where some insist on it", async () => {
  await using server = new RawServer();
  const transport = server.transport();
  for (const method of ["GET", "HEAD", "PUT", "POST", "DELETE"]) {
    server.answer = method === "HEAD" ? "HTTP/1.1 200 OK\r\n\r\n" : OK;
    await send(transport, request(method));
  }
  const sized = server.received.map((head) => /content-length: 0/.test(head));
  assert.deepEqual(sized, [false, false, true, true, false]);
  assert.equal(server.connections, 1);
  transport.close();
});

Deno.test("SocketTransport sends nothing for a signal that has fired", async () => {
  await using server = new RawServer();
  const transport = server.transport();
  await send(transport, request("GET"));
  const reason = new Error("enough");
  await assert.rejects(
    transport.exchange(request("PUT", "body"), AbortSignal.abort(reason)),
    (error) => error === reason,
  );
  assert.equal(server.received.length, 1);
  assert.equal(await send(transport, request("GET")), 200);
  transport.close();
});

Deno.test("SocketTransport takes none of the other connections when one turns out to be closed", async () => {
  await using server = new RawServer();
  const transport = server.transport();
  await Promise.all(Array.from({ length: 6 }, () => send(transport, request("GET"))));
  assert.equal(server.connections, 6);
  server.closeAll();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await assert.rejects(send(transport, request("PUT", "body")), { name: "ConnectionError" });
  assert.equal(await send(transport, request("PUT", "body")), 200, "a new one at once");
  assert.equal(server.connections, 7);
  transport.close();
});

const STRAYS = {
  "a second answer": `${OK}HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n`,
  "a body where none belongs": "HTTP/1.1 204 No Content\r\n\r\nsurprise",
};
for (const [what, answer] of Object.entries(STRAYS)) {
  Deno.test(`SocketTransport does not take ${what} for the answer to the next request`, async () => {
    await using server = new RawServer();
    const transport = server.transport();
    server.answer = answer;
    await send(transport, request("GET"));
    server.answer = OK;
    assert.equal(await send(transport, request("GET")), 200);
    assert.equal(server.connections, 2);
    transport.close();
  });
}

Deno.test("SocketTransport knows the status of a refusal that ends with its connection", async () => {
  await using server = new RawServer();
  const transport = server.transport();
  server.answer = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n<Error/>";
  assert.equal(await send(transport, request("GET")), 403);
  server.answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwho knows how much";
  await assert.rejects(send(transport, request("GET")), /no usable length/);
  transport.close();
});
