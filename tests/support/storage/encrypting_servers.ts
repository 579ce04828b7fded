/**
 * Real S3 servers that encrypt what they keep, and what they say about an object: MinIO with a key
 * management of its own, named in `BACKUPCTL_TEST_S3_ENDPOINT` as
 *
 *     http(s)://ACCESS_KEY:SECRET_KEY@HOST:PORT/?name=minio&kms=KEY&data=FOLDER
 *
 * KEY is a key that the server knows, FOLDER where it keeps everything, if that is this machine. No
 * other server that can be installed here encrypts: versitygw takes the headers and forgets them,
 * rclone gives them back and stores in the clear.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { encodePath, encodeQuery, sha256Hex, signRequest } from "../../../src/storage/sigv4.ts";
import { type LightServer, realServers } from "../light_stores.ts";

/** A server that encrypts. */
export interface EncryptingServer extends LightServer {
  /** A key that it knows. */
  readonly kmsKey: string;
}

/** The servers with `kms=KEY`. Says loudly when there are none. */
export function encryptingServers(): readonly EncryptingServer[] {
  const found = realServers().flatMap((server) =>
    server.kmsKey === undefined ? [] : [{ ...server, kmsKey: server.kmsKey }]
  );
  if (found.length === 0) {
    console.warn(
      "SKIPPED: encryption by the store itself is not tested, as BACKUPCTL_TEST_S3_ENDPOINT names " +
        "no server with kms=KEY",
    );
  }
  return found;
}

/** What a server says about how it keeps an object. */
export interface StoredForm {
  readonly size: number;
  /** `AES256`, `aws:kms` or undefined. */
  readonly sse: string | undefined;
  /** The name behind the last `:` or `/` of the key's ARN. */
  readonly kmsKey: string | undefined;
}

/** Asks by a HEAD of its own, past the adapters. */
export async function storedForm(
  { options }: LightServer,
  { bucket, key }: { readonly bucket: string; readonly key: string },
): Promise<StoredForm> {
  const { endpoint = "", region = "us-east-1", credentials, caCerts = [] } = options;
  const path = `/${bucket}/${encodePath(key)}`;
  const headers = { host: new URL(endpoint).host };
  const signed = signRequest(
    { method: "HEAD", path, headers, payloadHash: sha256Hex("") },
    { credentials: credentials!, region, time: new Date() },
  );
  using client = Deno.createHttpClient({ caCerts: [...caCerts] });
  const answer = await fetch(`${endpoint}${path}${encodeQuery({})}`, {
    ...{ method: "HEAD", headers: signed, client },
  });
  if (!answer.ok) throw new Error(`HEAD ${path}: ${answer.status}`);
  const said = (name: string) => answer.headers.get(name) ?? undefined;
  return {
    size: Number(said("content-length")),
    sse: said("x-amz-server-side-encryption"),
    kmsKey: said("x-amz-server-side-encryption-aws-kms-key-id")?.replace(/^.*[:/]/, ""),
  };
}

/** Whether any file below a folder holds the text. */
export async function isOnDisk(folder: string, text: string): Promise<boolean> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory && await isOnDisk(path, text)) return true;
    if (isFile && Buffer.from(await Deno.readFile(path)).includes(text)) return true;
  }
  return false;
}
