/** Who can open what. */
import assert from "node:assert/strict";
import {
  checkRecipients,
  generateIdentity,
  KeyRing,
  type KeyStep,
  newDataKey,
  nextSecret,
  ObjectOpener,
  ObjectSealer,
  unwrapKey,
  wrapKey,
} from "../../../src/crypto/crypto.ts";
import type { Bytes } from "../../../src/domain/bytes.ts";
import { isAgeRecipient } from "../../../src/domain/age_recipient.ts";
import { ConfigError, KeyError } from "../../../src/domain/errors.ts";
import { generateHybridIdentity, identityToRecipient } from "age-encryption";

const NAME = "main/wal";
const TEXT: Bytes = new TextEncoder().encode("what was written");
const owner = await generateIdentity();
const escrow = await generateIdentity();
const stranger = await generateIdentity();

function openerFor(
  identities: readonly string[],
  rewrapped: readonly string[] = [],
): ObjectOpener {
  return new ObjectOpener(
    new KeyRing({
      identities: () => Promise.resolve(identities),
      rewrapped: () => Promise.resolve(rewrapped),
    }),
  );
}

async function sealedWith(key: KeyStep): Promise<Bytes> {
  return await new ObjectSealer(() => Promise.resolve(key)).seal(NAME, TEXT);
}

Deno.test("each of several recipients opens, alone or among other identities", async () => {
  const sealed = await sealedWith(await newDataKey([owner.recipient, escrow.recipient]));
  for (
    const identities of [
      [owner.identity],
      [escrow.identity],
      [stranger.identity, escrow.identity],
    ]
  ) {
    assert.deepEqual(await openerFor(identities).open(NAME, sealed), TEXT);
  }
});

Deno.test("a stranger, nobody, and what is no identity are refused with exit status 12", async () => {
  const sealed = await sealedWith(await newDataKey([owner.recipient]));
  for (const identities of [[stranger.identity], [], ["AGE-SECRET-KEY-1XYZ"], [owner.recipient]]) {
    await assert.rejects(openerFor(identities).open(NAME, sealed), (error) => {
      assert.ok(error instanceof KeyError, `${error}`);
      assert.equal(error.exitCode, 12);
      const shown = `${error.message} ${error.hint} ${error.cause}`;
      assert.ok(!shown.includes("1XYZ"), "no part of an identity is shown");
      return true;
    });
  }
});

Deno.test("a key wrapped anew opens what was sealed before", async () => {
  const key = await newDataKey([owner.recipient]);
  const sealed = await sealedWith(key);
  const rewrapped = await wrapKey(key.secret, [stranger.recipient]);
  const opener = openerFor([stranger.identity], [
    await wrapKey(key.secret, [escrow.recipient]),
    rewrapped,
  ]);
  assert.deepEqual(await opener.open(NAME, sealed), TEXT);
});

Deno.test("a later step of a key opens nothing of an earlier one, an identity opens both", async () => {
  const first = await newDataKey([owner.recipient]);
  const second = { ...first, step: 1, secret: nextSecret(first.secret) };
  const [one, two] = [await sealedWith(first), await sealedWith(second)];
  const opener = openerFor([owner.identity]);
  for (const sealed of [two, one, two]) assert.deepEqual(await opener.open(NAME, sealed), TEXT);
  // A host that was taken over holds the second secret: were it the first, it would open `one`.
  const thief = new ObjectOpener(
    new KeyRing({
      identities: () => Promise.resolve([escrow.identity]),
      rewrapped: async () => [await wrapKey(second.secret, [escrow.recipient])],
    }),
  );
  await assert.rejects(thief.open(NAME, one));
});

Deno.test("identities are read once, and not before one is needed", async () => {
  let count = 0;
  const ring = new KeyRing({
    identities: () => Promise.resolve((count += 1, [owner.identity])),
  });
  const opener = new ObjectOpener(ring);
  assert.equal(count, 0);
  const key = await newDataKey([owner.recipient]);
  await Promise.all([
    opener.open(NAME, await sealedWith(key)),
    opener.open(NAME, await sealedWith(await newDataKey([owner.recipient]))),
  ]);
  assert.equal(count, 1);
});

Deno.test("checkRecipients() takes age's recipients and refuses everything else", async () => {
  const hybrid = await identityToRecipient(await generateHybridIdentity());
  await checkRecipients([owner.recipient, hybrid]);
  const wrapped = await wrapKey(new Uint8Array(32), [owner.recipient]);
  assert.deepEqual(await unwrapKey(wrapped, [owner.identity]), new Uint8Array(32));
  for (const recipients of [[], ["age1abc"], [owner.recipient, "ssh-ed25519 AAAA"], [""]]) {
    await assert.rejects(checkRecipients(recipients), ConfigError);
  }
});

Deno.test("isAgeRecipient() finds every mistyped letter", async () => {
  const hybrid = await identityToRecipient(await generateHybridIdentity());
  for (const good of [owner.recipient, escrow.recipient, hybrid]) assert.ok(isAgeRecipient(good));
  const letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  for (let at = 4; at < owner.recipient.length; at++) {
    const other = letters[(letters.indexOf(owner.recipient[at]!) + 7) % 32];
    const typed = owner.recipient.slice(0, at) + other + owner.recipient.slice(at + 1);
    assert.ok(!isAgeRecipient(typed), typed);
  }
  for (const bad of ["", "age1", owner.identity, owner.recipient.toUpperCase(), "age1qqqqqqq"]) {
    assert.ok(!isAgeRecipient(bad), bad);
  }
});
