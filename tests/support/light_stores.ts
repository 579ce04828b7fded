/** Where tests of the light S3 adapter find a bucket: the small server, and the real ones. */
import { type S3LightOptions, S3LightStore } from "../../src/storage/s3_light.ts";
import { encodeQuery, signRequest } from "../../src/storage/sigv4.ts";
import { makeCertificates } from "./certificates.ts";
import { S3Server } from "./s3_server/s3_server.ts";

/** How to reach a server. */
export interface LightServer {
  readonly name: string;
  /** A key of its key management, when it has one. */
  readonly kmsKey: string | undefined;
  /** The folder of this machine in which it keeps everything, where that is known. */
  readonly dataFolder?: string;
  readonly options: Omit<S3LightOptions, "bucket" | "prefix">;
}

/** Keys of the small server. */
export const SMALL_SERVER_KEYS = {
  accessKeyId: "testkey",
  secretAccessKey: "testsecretkey123",
} as const;

/**
 * The real servers that `BACKUPCTL_TEST_S3_ENDPOINT` names, separated by blanks or commas:
 * `http://key:secret@host:port?name=NAME&ca=FILE&kms=KEY&data=FOLDER`.
 */
export function realServers(): readonly LightServer[] {
  const listed = (Deno.env.get("BACKUPCTL_TEST_S3_ENDPOINT") ?? "").split(/[\s,]+/);
  return listed.filter((text) => text !== "").map((text) => {
    const url = new URL(text);
    const caFile = url.searchParams.get("ca") ?? Deno.env.get("BACKUPCTL_TEST_S3_CA");
    const credentials = {
      accessKeyId: decodeURIComponent(url.username),
      secretAccessKey: decodeURIComponent(url.password),
    };
    const caCerts = caFile ? [Deno.readTextFileSync(caFile)] : [];
    const region = url.searchParams.get("region") ?? "us-east-1";
    const options = {
      ...{ endpoint: url.origin, region, credentials, caCerts, allowHttp: true },
      ...(caFile && { caFile }),
    };
    const kmsKey = url.searchParams.get("kms") ?? undefined;
    const dataFolder = url.searchParams.get("data");
    const known = { kmsKey, ...(dataFolder !== null && { dataFolder }) };
    return { name: url.searchParams.get("name") ?? url.host, ...known, options };
  });
}

/** A small server over TLS, with the authority that signed its certificate. */
export async function startTlsServer(
  folder: string,
): Promise<{ readonly server: S3Server; readonly ca: string }> {
  const files = await makeCertificates(folder);
  const [cert, key, ca] = await Promise.all(
    [files.serverCert, files.serverKey, files.ca].map((file) => Deno.readTextFile(file)),
  );
  return { server: S3Server.start({ tls: { cert: cert!, key: key! } }), ca: ca! };
}

/** A store on the small server. */
export function storeOn(server: S3Server, options: Partial<S3LightOptions> = {}): S3LightStore {
  return new S3LightStore({
    ...{ bucket: "bucket", endpoint: server.endpoint, region: "us-east-1" },
    credentials: SMALL_SERVER_KEYS,
    ...options,
  });
}

/** Creates a bucket on a real server. @throws {Error} with what it answered. */
export async function createBucket(server: LightServer, bucket: string): Promise<void> {
  await bucketCall(server, { method: "PUT", bucket });
}

async function bucketCall(
  { options }: LightServer,
  { method, bucket }: { readonly method: string; readonly bucket: string },
): Promise<void> {
  const { endpoint = "", region = "us-east-1", credentials, caCerts = [] } = options;
  const payloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const headers = signRequest(
    { method, path: `/${bucket}`, headers: { host: new URL(endpoint).host }, payloadHash },
    { credentials: credentials!, region, time: new Date() },
  );
  using client = Deno.createHttpClient({ caCerts: [...caCerts] });
  const answer = await fetch(`${endpoint}/${bucket}${encodeQuery({})}`, {
    method,
    headers,
    client,
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} bucket ${bucket}: ${answer.status} ${text}`);
}
