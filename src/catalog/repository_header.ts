import * as v from "valibot";
import type { Bytes } from "../domain/bytes.ts";
import { ObjectExistsError, ObjectMissingError, RepositoryError } from "../domain/errors.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { repositoryKey } from "./layout.ts";
import { readTextObject } from "./read_object.ts";
import { stableJson } from "./stable_json.ts";

/** The highest `version` of repository.json that this program reads, and the one that it writes. */
export const REPOSITORY_VERSION = 1;

/** What repository.json says. */
export interface RepositoryHeader {
  readonly format: "backupctl.repository";
  readonly version: number;
  readonly cluster: string;
  /** RFC 3339 UTC. */
  readonly createdAt: string;
  /** Whether the store honours "only if absent"; null when that was not found out. */
  readonly conditionalPut: boolean | null;
}

const header = v.object({
  format: v.literal("backupctl.repository"),
  version: v.literal(REPOSITORY_VERSION),
  cluster: v.string(),
  createdAt: v.string(),
  conditionalPut: v.nullable(v.boolean()),
});

const LIMIT_BYTES = 64 * 1024;

/**
 * Reads repository.json.
 *
 * @returns undefined when the store itself says that there is none.
 * @throws {RepositoryError} when it is of a newer version, another cluster's, or something else.
 */
export async function readHeader(
  store: ObjectStore,
  cluster: string,
  options: ReadOptions = {},
): Promise<RepositoryHeader | undefined> {
  const key = repositoryKey(cluster);
  try {
    const text = await readTextObject(store, key, { ...options, limit: LIMIT_BYTES });
    return parseHeader(text, { cluster, where: `${store.location}/${key}` });
  } catch (error) {
    if (error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}

/**
 * Writes repository.json when there is none, and finds out by it whether the store honours
 * conditional writes: a second conditional write must be refused.
 */
export async function createHeader(
  store: ObjectStore,
  cluster: string,
  { createdAt, ...options }: ReadOptions & { readonly createdAt: Date },
): Promise<void> {
  const key = repositoryKey(cluster);
  const bytes = (conditionalPut: boolean | null) =>
    headerBytes({ cluster, createdAt, conditionalPut });
  const first = await putUnlessHeld(store, key, bytes(null), { ...options, ifAbsent: true });
  if (!first) return;
  const second = await putUnlessHeld(store, key, bytes(false), { ...options, ifAbsent: true });
  if (second || first.etag === undefined) return;
  await putUnlessHeld(store, key, bytes(true), { ...options, ifMatch: first.etag });
}

async function putUnlessHeld(
  store: ObjectStore,
  key: string,
  bytes: Bytes,
  options: Parameters<ObjectStore["put"]>[2],
) {
  try {
    return await store.put(key, bytes, options);
  } catch (error) {
    if (error instanceof ObjectExistsError) return undefined;
    throw error;
  }
}

function headerBytes(
  { cluster, createdAt, conditionalPut }: {
    readonly cluster: string;
    readonly createdAt: Date;
    readonly conditionalPut: boolean | null;
  },
): Bytes {
  const value: RepositoryHeader = {
    format: "backupctl.repository",
    version: REPOSITORY_VERSION,
    cluster,
    createdAt: createdAt.toISOString(),
    conditionalPut,
  };
  return new TextEncoder().encode(stableJson(value));
}

function parseHeader(
  text: string,
  { cluster, where }: { readonly cluster: string; readonly where: string },
): RepositoryHeader {
  const value = parseJson(text, where);
  refuseNewer(value, where);
  const result = v.safeParse(header, value);
  if (!result.success) {
    throw new RepositoryError(
      `${where} is not the head of a repository of backupctl: ${result.issues[0].message}`,
      "does another program write into this folder?",
    );
  }
  if (result.output.cluster === cluster) return result.output;
  throw new RepositoryError(
    `${where} belongs to cluster "${result.output.cluster}" and not to "${cluster}"`,
    "was the folder copied or renamed?",
  );
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RepositoryError(`${where} is not JSON`, "was it damaged?", { cause: error });
  }
}

function refuseNewer(value: unknown, where: string): void {
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format !== "backupctl.repository" || typeof version !== "number") return;
  if (!(version > REPOSITORY_VERSION)) return;
  throw new RepositoryError(
    `${where} is of version ${version}; this backupctl reads ${REPOSITORY_VERSION}`,
    "upgrade backupctl",
  );
}
