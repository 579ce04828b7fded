import { ConnectionError } from "./light_response.ts";
import type { ObjectInfo } from "./storage.ts";

/** One page of a listing. */
export interface ListedPage {
  /** Keys as stored, with the store's prefix. */
  readonly objects: readonly ObjectInfo[];
  /** What to ask the next page with; undefined behind the last one. */
  readonly next: string | undefined;
}

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" },
};

/**
 * Reads an answer of ListObjectsV2 that was asked for with `encoding-type=url`. Amazon S3 API
 * Reference, "ListObjectsV2".
 *
 * @throws {ConnectionError} when it is not whole: a listing that just ends must not pass for one.
 */
export function parseListing(xml: string): ListedPage {
  if (!/<ListBucketResult[\s>]/.test(xml) || !/<\/ListBucketResult>\s*$/.test(xml)) {
    throw new ConnectionError("the listing is not whole", { answered: true });
  }
  const encoded = field(xml, "EncodingType") === "url";
  const objects = [...xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)]
    .map(([, entry]) => listed(entry!, encoded));
  const next = field(xml, "NextContinuationToken");
  const more = field(xml, "IsTruncated") === "true";
  if (!more) return { objects, next: undefined };
  if (next) return { objects, next };
  throw new ConnectionError("the listing goes on, but does not say where", { answered: true });
}

function listed(entry: string, encoded: boolean): ObjectInfo {
  const key = field(entry, "Key") ?? "";
  const size = Number(field(entry, "Size") ?? NaN);
  if (!Number.isSafeInteger(size)) {
    throw new ConnectionError("the listing has an object without a size", { answered: true });
  }
  const etag = field(entry, "ETag");
  const time = Date.parse(field(entry, "LastModified") ?? "");
  return {
    key: encoded ? decodeURIComponent(key.replace(/\+/g, " ")) : key,
    size,
    // Some stores leave out the quotes here, and nowhere else.
    ...(etag !== undefined && { etag: etag.startsWith('"') ? etag : `"${etag}"` }),
    ...(!Number.isNaN(time) && { lastModified: new Date(time) }),
  };
}

function field(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(#x?[0-9a-fA-F]+|[a-z]+);/g, (whole, entity: string) => {
    if (!entity.startsWith("#")) return ENTITIES[entity] ?? whole;
    const code = entity[1] === "x" ? `0x${entity.slice(2)}` : entity.slice(1);
    return String.fromCodePoint(Number(code));
  });
}
