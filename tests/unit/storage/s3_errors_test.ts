import { deepStrictEqual as equal, match, ok, rejects, throws } from "node:assert/strict";
import { ConfigError, StorageError } from "../../../src/domain/errors.ts";
import { S3Store } from "../../../src/storage/s3.ts";
import type { S3Options } from "../../../src/storage/s3.ts";
import { StorageUnreachableError } from "../../../src/storage/s3_errors.ts";
import { content, text } from "../../support/bodies.ts";
import { selfSigned } from "../../support/storage/certificates.ts";
import { startS3 } from "../../support/storage/s3_rig.ts";

const SECRET = "canary-secret-key-3141592653589793";

interface Refusal {
  readonly options: Partial<S3Options>;
  readonly message: RegExp;
  readonly hint: RegExp;
}

const refusals: Readonly<Record<string, Refusal>> = {
  "an access key that does not exist": {
    options: { credentials: { accessKeyId: "nobody", secretAccessKey: SECRET } },
    message: /InvalidAccessKeyId/,
    hint: /access key is not known/,
  },
  "a secret key that is wrong": {
    options: { credentials: { accessKeyId: "testkey", secretAccessKey: SECRET } },
    message: /SignatureDoesNotMatch/,
    hint: /secret key does not belong/,
  },
  "a session token that is wrong": {
    options: {
      credentials: {
        accessKeyId: "testkey",
        secretAccessKey: "testsecretkey123",
        sessionToken: SECRET,
      },
    },
    message: /InvalidToken/,
    hint: /session token is no longer valid/,
  },
  "a bucket that does not exist": {
    options: { bucket: "no-such-bucket" },
    message: /NoSuchBucket/,
    hint: /create the bucket no-such-bucket, or correct repository.bucket/,
  },
  "a region that is wrong": {
    options: { region: "eu-west-1" },
    message: /the bucket is in the region us-east-1/,
    hint: /set repository.region to us-east-1/,
  },
  "a port where nothing listens": {
    options: { endpoint: "http://127.0.0.1:1" },
    message: /http:\/\/127\.0\.0\.1:1 does not answer .*Connection refused/,
    hint: /nothing listens at/,
  },
  "a name that does not exist": {
    options: { endpoint: "https://no-such-host.invalid" },
    message: /https:\/\/no-such-host\.invalid does not answer/,
    hint: /the name in https:\/\/no-such-host\.invalid is not known here/,
  },
};

for (const [name, { options, message, hint }] of Object.entries(refusals)) {
  Deno.test(`S3Store says what is wrong with ${name}`, async () => {
    await using rig = startS3({ store: options });
    const calls = [
      () => rig.store.put("key", text("x")),
      () => rig.store.put("key", content(350_000)),
      () => rig.store.get("key"),
      () => rig.store.head("key"),
      () => Array.fromAsync(rig.store.list("")),
      () => rig.store.delete(["key"]),
    ];
    for (const call of calls) {
      await rejects(call, (error: StorageError) => {
        ok(error instanceof StorageError, String(error));
        match(error.message, message);
        match(error.hint ?? "", hint);
        ok(!everythingIn(error).includes(SECRET), "no secret");
        ok(!error.message.endsWith("."));
        return true;
      });
    }
    ok(rig.server.requests.length <= calls.length * 2, "no vain repetitions");
  });
}

Deno.test("S3Store tells an unreachable store from one that refuses", async () => {
  await using rig = startS3({ store: { endpoint: "http://127.0.0.1:1" } });
  await rejects(rig.store.head("key"), StorageUnreachableError);
  equal(rig.pauses.length, 2, "not for ever before the first contact");
});

const permissions: readonly (readonly [string, RegExp])[] = [
  ["put", /allow s3:PutObject on arn:aws:s3:::bucket\/\*/],
  ["get", /allow s3:GetObject on .*without s3:ListBucket on bucket, S3 answers 403/],
  ["head", /allow s3:GetObject on/],
  ["list", /allow s3:ListBucket on arn:aws:s3:::bucket$/],
  ["delete", /allow s3:DeleteObject on/],
  ["abortUploads", /allow s3:ListBucketMultipartUploads on/],
];

for (const [call, hint] of permissions) {
  Deno.test(`S3Store names the permission that ${call}() lacks`, async () => {
    await using rig = startS3();
    rig.server.fail({}, { kind: "error", status: 403, code: "AccessDenied" });
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      put: () => rig.store.put("key", text("x")),
      get: () => rig.store.get("key"),
      head: () => rig.store.head("key"),
      list: () => Array.fromAsync(rig.store.list("")),
      delete: () => rig.store.delete(["key"]),
      abortUploads: () => rig.store.abortUploads("", { before: new Date() }),
    };
    await rejects(calls[call]!, (error: StorageError) => {
      match(error.hint ?? "", hint);
      return error instanceof StorageError;
    });
    equal(rig.server.requests.length, call === "head" ? 2 : 1);
  });
}

Deno.test("S3Store blames the region only when another one is set", async () => {
  const bad = {
    kind: "error",
    status: 400,
    code: "InvalidRequest",
    message: "no such thing",
    headers: { "x-amz-bucket-region": "eu-west-1" },
  } as const;
  await using same = startS3({ server: { region: "eu-west-1" }, store: { region: "eu-west-1" } });
  same.server.fail({}, bad);
  await rejects(same.store.put("key", text("x")), /InvalidRequest: no such thing/);
  await using other = startS3();
  other.server.fail({}, bad);
  await rejects(other.store.put("key", text("x")), /the bucket is in the region eu-west-1/);
});

Deno.test("S3Store names the KMS key that the store refuses", async () => {
  for (const code of ["KMS.NotFoundException", "kms:KeyNotFound"]) {
    await using rig = startS3({ store: { sse: "aws:kms", kmsKeyId: "key-7" } });
    rig.server.fail({}, { kind: "error", status: 400, code });
    await rejects(rig.store.put("key", text("x")), (error: StorageError) => {
      match(error.hint ?? "", /^KMS refuses the key key-7: /);
      return true;
    });
  }
});

Deno.test("S3Store corrects a clock that is an hour off", async () => {
  for (const clockSkew of [-3_600_000, 3_600_000]) {
    await using rig = startS3({ server: { clockSkew } });
    await rig.store.put("key", text("x"));
    equal((await rig.store.head("key"))?.size, 1);
    equal(rig.server.requests.filter(({ status }) => status === 403).length, 1);
    await using other = startS3({ server: { clockSkew } });
    equal(await other.store.head("key"), undefined); // its 403 has no body
  }
});

Deno.test("S3Store trusts the authorities that it is told, and no stranger", async () => {
  const { authority, certificate, key } = await selfSigned("127.0.0.1");
  const caFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(caFile, authority);
    const tls = { cert: certificate, key };
    await using trusting = startS3({ server: { tls }, store: { caFile } });
    await trusting.store.put("key", content(350_001));
    equal((await trusting.store.head("key"))?.size, 350_001);
    const hash = "x-amz-content-sha256";
    const [part] = trusting.server.requestsOf("PUT");
    equal(part?.headers.get(hash), "UNSIGNED-PAYLOAD", "TLS and the CRC-32 guard it");
    ok(part?.headers.has("x-amz-checksum-crc32"));
    await using unchecked = startS3({ server: { tls }, store: { caFile, checksums: false } });
    await unchecked.store.put("key", content(10));
    match(unchecked.server.requestsOf("PUT")[0]!.headers.get(hash)!, /^[0-9a-f]{64}$/);
    await using doubting = startS3({ server: { tls } });
    await rejects(doubting.store.head("key"), (error: StorageError) => {
      match(error.message, /the certificate of https:\/\/127\.0\.0\.1:\d+ is not trusted/);
      return /ca_file/.test(error.hint ?? "") && error instanceof StorageUnreachableError;
    });
    equal(doubting.pauses, [], "a certificate does not get better");
  } finally {
    await Deno.remove(caFile);
  }
});

Deno.test("S3Store refuses a certificate for another name", async () => {
  const { authority, certificate, key } = await selfSigned("another.example");
  const caFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(caFile, authority);
    await using rig = startS3({ server: { tls: { cert: certificate, key } }, store: { caFile } });
    await rejects(rig.store.head("key"), /is not trusted/);
    equal(rig.pauses, []);
  } finally {
    await Deno.remove(caFile);
  }
});

Deno.test("S3Store says which CA file it cannot use", async () => {
  const file = await Deno.makeTempFile();
  try {
    await using missing = startS3({ store: { caFile: "/no/such/file.pem" } });
    await rejects(missing.store.head("key"), ConfigError);
    await using empty = startS3({ store: { caFile: file } });
    await rejects(empty.store.head("key"), /holds no certificate in PEM/);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("S3Store says that there are no credentials", async () => {
  await using rig = startS3({ store: { credentials: undefined! } });
  const env = { AWS_EC2_METADATA_DISABLED: "true", AWS_CONFIG_FILE: "/none", HOME: "/none" };
  const old = Object.fromEntries(Object.keys(env).map((name) => [name, Deno.env.get(name)]));
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    await rejects(rig.store.head("key"), (error: StorageError) => {
      match(error.message, /no credentials were found/);
      return /AWS_ACCESS_KEY_ID/.test(error.hint ?? "");
    });
  } finally {
    for (const [name, value] of Object.entries(old)) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});

Deno.test("S3Store lets out no secret, whatever the server says back", async () => {
  const credentials = {
    accessKeyId: "testkey",
    secretAccessKey: SECRET,
    sessionToken: `${SECRET}2`,
  };
  await using rig = startS3({ store: { credentials, attempts: 2 } });
  const echo = `your secret ${SECRET} and token ${SECRET}2`;
  for (const status of [400, 403, 404, 500]) {
    rig.server.heal();
    rig.server.fail({}, { kind: "error", status, code: "Echo", message: echo });
    const calls = [() => rig.store.put("key", text("x")), () => rig.store.get("key")];
    for (const call of calls) {
      await rejects(call, (error: Error) => {
        ok(!everythingIn(error).includes(SECRET), everythingIn(error));
        return true;
      });
    }
  }
  ok(!JSON.stringify(rig.retries).includes(SECRET), "nor in what is told about repetitions");
  ok(!Deno.inspect(rig.store, { depth: 20, showHidden: true }).includes(SECRET), "nor inspected");
});

Deno.test("S3Store refuses options that cannot work together", () => {
  const refused: readonly (readonly [Partial<S3Options>, RegExp])[] = [
    [{ endpoint: "http://s3.example.com" }, /is not encrypted/],
    [{ endpoint: "s3.example.com" }, /is no http or https URL/],
    [{ endpoint: "ftp://s3.example.com" }, /is no http or https URL/],
    [{ endpoint: `https://user:${SECRET}@s3.example.com` }, /holds a user name or password/],
    [{ bucket: "" }, /is no name of an S3 bucket/],
    [{ bucket: "../x" }, /is no name of an S3 bucket/],
    [{ bucket: "a.b", transferAcceleration: true }, /dots of bucket a.b/],
    [{ endpoint: "https://x.example", transferAcceleration: true }, /endpoint of its own/],
    [{ kmsKeyId: "key" }, /needs sse: aws:kms/],
    [{ sse: "AES256", bucketKey: true }, /needs sse: aws:kms/],
  ];
  for (const [options, message] of refused) {
    throws(() => new S3Store({ bucket: "bucket", ...options }), (error: Error) => {
      match(error.message, message);
      ok(!everythingIn(error).includes(SECRET));
      return error instanceof ConfigError;
    });
  }
  for (
    const endpoint of ["http://127.0.0.1:1", "http://localhost", "http://[::1]:9", "https://x"]
  ) {
    ok(new S3Store({ bucket: "bucket", endpoint }));
  }
  ok(new S3Store({ bucket: "bucket", endpoint: "http://s3.example.com", allowHttp: true }));
});

/** All that could reach a log: messages, hints, stacks and causes. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [
    Deno.inspect(error, { depth: 20, showHidden: true }),
    error.stack,
    "hint" in error ? error.hint : "",
    everythingIn(error.cause),
  ].join("\n");
}
