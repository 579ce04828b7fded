import { encodePath } from "./sigv4.ts";
import type { S3Settings } from "./s3_options.ts";

/** Where requests go. */
export interface S3Address {
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
  /** As it is sent and signed: with the port unless it is the scheme's own. */
  readonly hostHeader: string;
  /** In front of every key: `/bucket` in path style. */
  readonly base: string;
}

/** Where the requests for a bucket go, in path or virtual-host style. */
export function s3Address(settings: S3Settings): S3Address {
  const { bucket, forcePathStyle } = settings;
  const url = new URL(settings.endpoint ?? amazonEndpoint(settings));
  const tls = url.protocol === "https:";
  const host = forcePathStyle ? url.hostname : `${bucket}.${url.hostname}`;
  return {
    tls,
    hostname: host.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (tls ? 443 : 80) : Number(url.port),
    hostHeader: url.port === "" ? host : `${host}:${url.port}`,
    base: url.pathname.replace(/\/+$/, "") + (forcePathStyle ? `/${encodePath(bucket)}` : ""),
  };
}

/** AWS General Reference, "Amazon S3 endpoints". */
function amazonEndpoint({ region = "us-east-1", transferAcceleration }: S3Settings): string {
  if (transferAcceleration) return "https://s3-accelerate.amazonaws.com";
  return `https://s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}
