/** The small server is as strict as S3: checked with the SDK's own ways and with raw requests. */
import { deepStrictEqual as equal, match, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { content } from "../../support/bodies.ts";
import { seededRandom } from "../../support/s3_server/faults.ts";
import { S3Server, type ServerOptions } from "../../support/s3_server/s3_server.ts";

const BUCKET = { Bucket: "bucket", Key: "key" };

/** A server and the SDK's client with its own defaults. */
function start(options: Partial<ServerOptions> = {}, config: S3ClientConfig = {}) {
  const server = S3Server.start(options);
  const client = new S3Client({
    endpoint: server.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: server.options.credentials,
    ...config,
  });
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Changes the request between signing and sending, as a hostile network would. */
function tamper(client: S3Client, change: (headers: Record<string, string>) => void): void {
  client.middlewareStack.add(
    (next) => (args) => {
      change((args.request as { readonly headers: Record<string, string> }).headers);
      return next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "tamper" },
  );
}

Deno.test("the small server decodes aws-chunked bodies and checks their trailer", async () => {
  await using rig = start();
  const body = content(300_000);
  await rig.client.send(
    new PutObjectCommand({ ...BUCKET, Body: Readable.from([body]), ContentLength: body.length }),
  );
  const [put] = rig.server.requestsOf("PUT");
  equal(put?.headers.get("x-amz-content-sha256"), "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  equal(rig.server.bucket().objects.get("key")?.bytes, body);
  equal(rig.server.bucket().objects.get("key")?.headers["content-encoding"], undefined);
  const answer = await rig.client.send(new GetObjectCommand(BUCKET));
  equal(await answer.Body?.transformToByteArray(), body);
});

Deno.test("the small server takes unsigned payloads", async () => {
  await using rig = start();
  tamper(rig.client, () => {});
  rig.client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { readonly headers: Record<string, string> };
      headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
      return next(args);
    },
    { step: "build", name: "unsigned" },
  );
  await rig.client.send(new PutObjectCommand({ ...BUCKET, Body: content(10) }));
  const [put] = rig.server.requestsOf("PUT");
  equal(put?.headers.get("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
});

const tampering: Readonly<
  Record<string, readonly [(headers: Record<string, string>) => void, RegExp]>
> = {
  "a changed payload hash": [
    (headers) => headers["x-amz-content-sha256"] = createHash("sha256").update("x").digest("hex"),
    /SignatureDoesNotMatch/,
  ],
  "a header that was added": [
    (headers) => headers["x-amz-meta-added"] = "x",
    /AccessDenied/,
  ],
  "a changed date": [
    (headers) =>
      headers["x-amz-date"] = headers["x-amz-date"]!.replace(
        /\dZ$/,
        (end) => end === "0Z" ? "1Z" : "0Z",
      ),
    /SignatureDoesNotMatch/,
  ],
  "a request without signature": [(headers) => delete headers["authorization"], /AccessDenied/],
};

for (const [name, [change, code]] of Object.entries(tampering)) {
  Deno.test(`the small server refuses ${name}`, async () => {
    await using rig = start();
    tamper(rig.client, change);
    await rejects(
      rig.client.send(new PutObjectCommand({ ...BUCKET, Body: content(10) })),
      (error: Error) => code.test(error.name),
    );
    equal(rig.server.bucket().objects.size, 0);
  });
}

Deno.test("the small server refuses a body that has another hash or checksum than announced", async () => {
  await using rig = start();
  const wrong = { ChecksumCRC32: "AAAAAA==" };
  await rejects(
    rig.client.send(new PutObjectCommand({ ...BUCKET, Body: content(10), ...wrong })),
    { name: "BadDigest" },
  );
  rig.client.middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request as object, { body: content(10, 2) });
      return next(args);
    },
    { step: "finalizeRequest", priority: "low", name: "other body" },
  );
  await rejects(
    rig.client.send(new PutObjectCommand({ ...BUCKET, Body: content(10, 1) })),
    { name: "XAmzContentSHA256Mismatch" },
  );
  equal(rig.server.bucket().objects.size, 0);
});

Deno.test("the small server refuses a skewed clock and a wrong region", async () => {
  await using late = start({ clockSkew: 16 * 60_000 });
  await rejects(late.client.send(new GetObjectCommand(BUCKET)), { name: "RequestTimeTooSkewed" });
  await using near = start({ clockSkew: 14 * 60_000 });
  await rejects(near.client.send(new GetObjectCommand(BUCKET)), { name: "NoSuchKey" });
  await using other = start({}, { region: "eu-west-1" });
  await rejects(other.client.send(new GetObjectCommand(BUCKET)), {
    name: "AuthorizationHeaderMalformed",
  });
});

Deno.test("the small server holds uploads to S3's rules", async () => {
  await using rig = start({ maxPartNumber: 5 });
  const upload = async (algorithm: "CRC32" | undefined, parts: readonly Uint8Array[]) => {
    const named = algorithm === undefined ? {} : { ChecksumAlgorithm: algorithm };
    const { UploadId } = await rig.client.send(
      new CreateMultipartUploadCommand({ ...BUCKET, ...named }),
    );
    const done = await Promise.all(parts.map(async (Body, at) => {
      const input = { ...BUCKET, UploadId, PartNumber: at + 1, Body };
      const { ETag, ChecksumCRC32 } = await rig.client.send(new UploadPartCommand(input));
      return { ETag, ChecksumCRC32, PartNumber: at + 1 };
    }));
    return { UploadId, done };
  };
  const complete = (UploadId: string | undefined, Parts: readonly object[]) =>
    rig.client.send(
      new CompleteMultipartUploadCommand({
        ...BUCKET,
        UploadId,
        MultipartUpload: { Parts: [...Parts] },
      }),
    );
  const part = content(70_000);
  const named = await upload("CRC32", [part, part]);
  const bare = named.done.map(({ ETag, PartNumber }) => ({ ETag, PartNumber }));
  await rejects(complete(named.UploadId, bare), { name: "InvalidRequest" });
  await rejects(complete(named.UploadId, named.done.toReversed()), { name: "InvalidPartOrder" });
  const forged = [{ ...named.done[0]!, ETag: '"0"' }];
  await rejects(complete(named.UploadId, forged), { name: "InvalidPart" });
  await complete(named.UploadId, named.done);
  await rejects(complete(named.UploadId, named.done), { name: "NoSuchUpload" });
  const small = await upload("CRC32", [content(10), part]);
  await rejects(complete(small.UploadId, small.done), { name: "EntityTooSmall" });
  const unnamed = await upload(undefined, [part]);
  await rejects(complete(unnamed.UploadId, unnamed.done), { name: "InvalidPart" });
  await rejects(upload("CRC32", Array.from({ length: 6 }, () => part)), {
    name: "InvalidArgument",
  });
});

Deno.test("the small server answers ranges as RFC 9110 says", async () => {
  await using rig = start();
  await rig.client.send(new PutObjectCommand({ ...BUCKET, Body: "0123456789" }));
  const read = async (Range: string) => {
    const { Body, ContentRange } = await rig.client.send(
      new GetObjectCommand({ ...BUCKET, Range }),
    );
    return [await Body?.transformToString(), ContentRange];
  };
  equal(await read("bytes=2-4"), ["234", "bytes 2-4/10"]);
  equal(await read("bytes=7-"), ["789", "bytes 7-9/10"]);
  equal(await read("bytes=-3"), ["789", "bytes 7-9/10"]);
  equal(await read("bytes=5-500"), ["56789", "bytes 5-9/10"]);
  await rejects(read("bytes=10-"), { name: "InvalidRange" });
});

Deno.test("the small server draws the same faults for the same seed", async () => {
  const outcomes = async (seed: number) => {
    await using rig = start({ seed });
    rig.server.fail({ probability: 0.5 }, { kind: "error", status: 500, code: "InternalError" });
    for (let at = 0; at < 20; at++) {
      await rig.client.send(new GetObjectCommand(BUCKET)).catch(() => {});
    }
    return rig.server.requests.map(({ status }) => status).join(" ");
  };
  const first = await outcomes(7);
  equal(await outcomes(7), first);
  ok(first !== await outcomes(8));
  match(first, /500/);
  match(first, /404/);
  const random = seededRandom(1);
  const mean = Array.from({ length: 10_000 }, random).reduce((sum, value) => sum + value) / 10_000;
  ok(Math.abs(mean - 0.5) < 0.02);
});
