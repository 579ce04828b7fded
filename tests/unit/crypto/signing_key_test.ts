import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { generateSigningKey, SigningKey, TrustedKeys } from "../../../src/crypto/crypto.ts";
import { IntegrityError, KeyError } from "../../../src/domain/errors.ts";

const where = "a test";
const TEXT = '{\n  "one": "é 1"\n}\n';

Deno.test("open() gives back what a trusted key signed", () => {
  const [first, second] = [1, 2].map(() => SigningKey.parse(generateSigningKey().pem, { where }));
  const trusted = new TrustedKeys([first!.publicKey, second!.publicKey]);
  for (const key of [first!, second!]) assert.equal(trusted.open(key.sign(TEXT), { where }), TEXT);
  const one = new TrustedKeys([first!.publicKey]);
  assert.throws(() => one.open(second!.sign(TEXT), { where }), IntegrityError);
});

Deno.test("open() refuses every changed bit, every cut and every byte too many", () => {
  const key = SigningKey.parse(generateSigningKey().pem, { where });
  const trusted = new TrustedKeys([key.publicKey]);
  const signed = key.sign(TEXT);
  const refused = (bytes: Uint8Array<ArrayBuffer>) =>
    assert.throws(() => trusted.open(bytes, { where }), IntegrityError, `${bytes}`);
  for (let bit = 0; bit < signed.length * 8; bit++) {
    const changed = signed.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    refused(changed);
  }
  for (let length = 0; length < signed.length; length++) {
    refused(signed.slice(0, length));
    refused(signed.slice(signed.length - length));
  }
  for (const byte of [0x0a, 0x0d, 0x20, 0x3d, 0x41]) {
    refused(new Uint8Array([...signed, byte]));
    refused(new Uint8Array([byte, ...signed]));
  }
});

Deno.test("open() has the known answer of RFC 8032, test 2", () => {
  // Section 7.1: its message is the byte 0x72, which is "r".
  const seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
  const der = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex").toString("base64");
  const pem = `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
  const publicKey = Buffer.from(
    "302a300506032b65700321003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "hex",
  ).toString("base64");
  const key = SigningKey.parse(`# a comment\n${pem}`, { where });
  assert.equal(key.publicKey, publicKey);
  const signature = new TextDecoder().decode(key.sign("r")).slice(1);
  assert.equal(
    Buffer.from(signature, "base64").toString("hex"),
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
});

Deno.test("parse() refuses what is no Ed25519 key, and never shows it", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    .export({ format: "pem", type: "pkcs8" });
  const { pem, publicKey } = generateSigningKey();
  const cut = pem.replace(/(.{20})\n-----END/, "\n-----END");
  for (const text of ["", "secret words", `${rsa}`, publicKey, cut, pem.replace("PRIVATE", "X")]) {
    assert.throws(() => SigningKey.parse(text, { where }), (error: unknown) => {
      assert.ok(error instanceof KeyError);
      assert.equal(error.message, "a test holds no Ed25519 private key in PEM");
      assert.equal(error.cause, undefined);
      return true;
    });
  }
});
