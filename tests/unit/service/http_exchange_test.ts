import assert from "node:assert/strict";
import fc from "fast-check";
import { sendRequest } from "../../../src/service/alerts/channels/http_request.ts";
import { DeliveryError } from "../../../src/service/alerts/delivery_error.ts";

/** A receiver that says exactly these bytes, `piece` at a time, and hangs up. */
class RawReceiver implements AsyncDisposable {
  readonly received: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;

  constructor(answer: Uint8Array, { piece = 65_536 }: { readonly piece?: number } = {}) {
    this.#serving = this.#serve(answer, piece);
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}/hook?a=b#c`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }

  async #serve(answer: Uint8Array, piece: number): Promise<void> {
    for await (const connection of this.#listener) {
      const buffer = new Uint8Array(65_536);
      const count = await connection.read(buffer).catch(() => null);
      this.received.push(new TextDecoder().decode(buffer.subarray(0, count ?? 0)));
      try {
        connection.setNoDelay();
        for (let at = 0; at < answer.length; at += piece) {
          await connection.write(answer.subarray(at, at + piece));
        }
      } catch {
        // The other side has heard enough.
      }
      connection.close();
    }
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const request = { method: "POST", headers: { "x-one": "1" }, body: "{}" } as const;

const ANSWERS = [
  { answer: "HTTP/1.1 200 OK\r\n\r\n", status: 200 },
  { answer: "HTTP/1.1 204\r\nA: b\r\n\r\n", status: 204 },
  { answer: "HTTP/1.0 202 Accepted\r\n\r\nbody", status: 202 },
  { answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n\r\n", status: 201 },
  { answer: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 No\r\n\r\n", fails: /500/ },
  {
    answer: "HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\n\r\n",
    fails: /a redirect/,
  },
  { answer: "", fails: /without an answer/ },
  { answer: "HTTP/1.1 200 OK\r\nNo-End: 1\r\n", fails: /without an answer/ },
  { answer: "SSH-2.0-OpenSSH_9.2\r\n", fails: /no HTTP/ },
  { answer: "HTTP/2 200\r\n\r\n", fails: /no HTTP/ },
  { answer: "HTTP/1.1 20 OK\r\n\r\n", fails: /no HTTP/ },
  { answer: "HTTP/1.1 2000 OK\r\n\r\n", fails: /no HTTP/ },
  { answer: `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(10_000)}`, fails: /no HTTP/ },
];

for (const { answer, status, fails } of ANSWERS) {
  for (const piece of [1, 65_536]) {
    const shown = JSON.stringify(answer.slice(0, 60));
    Deno.test(`sendRequest() takes ${shown} in pieces of ${piece} as it should`, async () => {
      await using receiver = new RawReceiver(bytes(answer), { piece });
      const sending = sendRequest(receiver.url, request, { timeoutMs: 20_000 });
      if (status !== undefined) {
        assert.equal((await sending).status, status);
        return;
      }
      await assert.rejects(sending, (error: unknown) => {
        assert.ok(error instanceof DeliveryError);
        assert.match(error.message, fails!);
        return true;
      });
    });
  }
}

Deno.test("sendRequest() writes one request, with its fields and its length", async () => {
  await using receiver = new RawReceiver(bytes("HTTP/1.1 200 OK\r\n\r\n"));
  await sendRequest(receiver.url, { ...request, body: "{é}" });
  assert.equal(
    receiver.received[0],
    `POST /hook?a=b HTTP/1.1\r\nhost: ${receiver.url.host}\r\nuser-agent: backupctl\r\n` +
      "connection: close\r\nx-one: 1\r\ncontent-length: 4\r\n\r\n{é}",
  );
});

Deno.test("sendRequest() lets no secret start a field of its own", async () => {
  await using receiver = new RawReceiver(bytes("HTTP/1.1 200 OK\r\n\r\n"));
  const headers = { authorization: "Bearer a\r\nX-Evil: 1\n" };
  await sendRequest(receiver.url, { ...request, headers });
  assert.doesNotMatch(receiver.received[0]!, /^X-Evil/m);
});

Deno.test("sendRequest() answers any bytes with an answer or a DeliveryError, in time", async () => {
  const heads = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({
      unit: fc.constantFrom("H", "T", "P", "/", "1", ".", " ", "2", "0", "\r", "\n", ":"),
    })
      .map(bytes),
  );
  await fc.assert(
    fc.asyncProperty(heads, async (answer) => {
      await using receiver = new RawReceiver(Uint8Array.from(answer));
      try {
        const { status } = await sendRequest(receiver.url, request, { timeoutMs: 20_000 });
        assert.ok(status >= 200 && status < 300);
      } catch (error) {
        assert.ok(error instanceof DeliveryError, String(error));
      }
    }),
    { numRuns: 150 },
  );
});
