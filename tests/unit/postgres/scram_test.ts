import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import fc from "fast-check";
import { PostgresError } from "../../../src/domain/errors.ts";
import type { ConnectionOptions } from "../../../src/postgres/postgres.ts";
import { Authenticator } from "../../../src/postgres/replication/authenticate.ts";
import { ScramClient } from "../../../src/postgres/replication/scram.ts";
import { authentication } from "../../support/fake_postgres.ts";

const SALT = Buffer.from("a salt of the server");
const ROUNDS = 64;

/** The server's half, written from RFC 5802, section 3. */
class ScramServer {
  readonly #salted: Buffer;
  #authMessage = "";

  constructor(password: string) {
    this.#salted = pbkdf2Sync(password, SALT, ROUNDS, 32, "sha256");
  }

  first(clientFirst: string): string {
    assert.match(clientFirst, /^n,,n=,r=[!-+\x2d-~]{20,}$/);
    const nonce = `${clientFirst.split("r=")[1]}server`;
    const first = `r=${nonce},s=${SALT.toString("base64")},i=${ROUNDS}`;
    this.#authMessage = `${clientFirst.slice(3)},${first}`;
    return first;
  }

  /** `server-final-message`; undefined when the proof is wrong. */
  final(clientFinal: string): string | undefined {
    const at = clientFinal.lastIndexOf(",p=");
    const authMessage = `${this.#authMessage},${clientFinal.slice(0, at)}`;
    assert.ok(clientFinal.startsWith("c=biws,r="));
    const clientKey = hmac(this.#salted, "Client Key");
    const storedKey = createHash("sha256").update(clientKey).digest();
    const signature = hmac(storedKey, authMessage);
    const proof = Buffer.from(clientFinal.slice(at + 3), "base64");
    const revealed = Buffer.from(proof.map((byte, index) => byte ^ signature[index]!));
    if (!createHash("sha256").update(revealed).digest().equals(storedKey)) return undefined;
    return `v=${hmac(hmac(this.#salted, "Server Key"), authMessage).toString("base64")}`;
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

Deno.test("ScramClient and a server agree when they know the same password, and only then", async () => {
  const ascii = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(ascii, fc.boolean(), async (password, same) => {
      const [client, server] = [
        new ScramClient(password),
        new ScramServer(same ? password : `${password}!`),
      ];
      const final = server.final(await client.final(server.first(client.first())));
      assert.equal(final !== undefined, same);
      if (final === undefined) return;
      client.verify(final);
      assert.equal(client.verified, true);
    }),
    { numRuns: 60 },
  );
});

/** Passwords and what SASLprep (RFC 4013, section 3 and PostgreSQL's rule) makes of them. */
const PREPARED = [
  { password: "I\u00adX", prepared: "IX", why: "drops a soft hyphen" },
  { password: "\u00aa\u2168", prepared: "aIX", why: "takes the compatible form" },
  { password: "a\u00a0b", prepared: "a b", why: "takes a plain space for another" },
  { password: "\u2168\u0007", prepared: "\u2168\u0007", why: "keeps what has a control character" },
  { password: "p\u00e4ss", prepared: "pa\u0308ss".normalize("NFKC"), why: "composes letters" },
];
for (const { password, prepared, why } of PREPARED) {
  Deno.test(`ScramClient ${why} in a password`, async () => {
    const [client, server] = [new ScramClient(password), new ScramServer(prepared)];
    assert.ok(server.final(await client.final(server.first(client.first()))));
  });
}

const WRONG_FIRST = [
  { name: "a nonce that is not ours", text: "r=theirs,s=c2FsdA==,i=64" },
  { name: "our nonce alone", text: "r=OURS,s=c2FsdA==,i=64" },
  { name: "no salt", text: "r=OURSx,i=64" },
  { name: "no rounds", text: "r=OURSx,s=c2FsdA==" },
  { name: "rounds for years", text: "r=OURSx,s=c2FsdA==,i=2000000000" },
  { name: "an extension that must be understood", text: "m=x,r=OURSx,s=c2FsdA==,i=64" },
];
for (const { name, text } of WRONG_FIRST) {
  Deno.test(`ScramClient.final() refuses ${name}`, async () => {
    await assert.rejects(new ScramClient("x", "OURS").final(text), PostgresError);
  });
}

for (const final of ["v=AAAA", "v=", "e=other-error", ""]) {
  Deno.test(`ScramClient.verify() refuses "${final}"`, async () => {
    const [client, server] = [new ScramClient("x"), new ScramServer("x")];
    await client.final(server.first(client.first()));
    assert.throws(() => client.verify(final), PostgresError);
    assert.equal(client.verified, false);
  });
}

const CONNECTION: ConnectionOptions = {
  ...{ host: "h", port: 1, user: "u", database: "d", sslmode: "disable", password: "p" },
};

function body(...parts: Parameters<typeof authentication>) {
  return authentication(...parts).slice(5) as Uint8Array<ArrayBuffer>;
}

Deno.test("Authenticator refuses a server that accepts before it has proved itself", async () => {
  const authenticator = new Authenticator(CONNECTION);
  await authenticator.answer(body(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
  await assert.rejects(authenticator.answer(body(0)), /without the proof/);
});

Deno.test("Authenticator accepts a server that asks for nothing", async () => {
  assert.equal(await new Authenticator(CONNECTION).answer(body(0)), undefined);
});

Deno.test("Authenticator names the methods that it does not know", async () => {
  const answer = (data: Uint8Array<ArrayBuffer>) => new Authenticator(CONNECTION).answer(data);
  await assert.rejects(answer(body(7)), /GSSAPI/);
  await assert.rejects(answer(body(10, "SCRAM-SHA-512\0\0")), /SCRAM-SHA-512/);
  await assert.rejects(answer(body(99)), /99/);
});

Deno.test("Authenticator says that a password is missing, and for whom", async () => {
  const { password: _, ...without } = CONNECTION;
  for (const connection of [without, { ...without, password: "" }]) {
    await assert.rejects(new Authenticator(connection).answer(body(3)), /password of role u/);
  }
});

Deno.test("Authenticator answers MD5 as the documentation says", async () => {
  const answer = await new Authenticator(CONNECTION).answer(body(5, new Uint8Array([1, 2, 3, 4])));
  const inner = createHash("md5").update("pu").digest("hex");
  const outer = createHash("md5").update(inner).update(Buffer.from([1, 2, 3, 4])).digest("hex");
  assert.equal(new TextDecoder().decode(answer!.subarray(5)), `md5${outer}\0`);
});
