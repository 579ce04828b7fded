import { counted } from "../domain/counted.ts";
import { StorageError } from "../domain/errors.ts";
import { S3CallError, type S3Connection } from "./s3_connection.ts";
import { s3Location } from "./s3_errors.ts";

/** S3 API Reference, "DeleteObjects". */
const BATCH_KEYS = 1_000;
/** How often keys are tried that failed for a passing reason. */
const ROUNDS = 4;
const PASSING = new Set(["InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted"]);

/** What to remove. */
interface Removal {
  readonly keys: readonly string[];
  readonly signal: AbortSignal | undefined;
  /** See {@link DeleteOptions.guard}. */
  readonly guard: (() => void) | undefined;
}

/** A key that the store did not remove. */
interface Refusal {
  readonly key: string;
  readonly code: string;
  readonly message: string;
}

/**
 * Removes objects, a thousand by one request.
 *
 * @throws {StorageError} naming the keys that are still there.
 */
export async function deleteObjects(
  connection: S3Connection,
  { keys, signal, guard }: Removal,
): Promise<void> {
  const refused: Refusal[] = [];
  for (let at = 0; at < keys.length; at += BATCH_KEYS) {
    const batch = keys.slice(at, at + BATCH_KEYS);
    refused.push(...await deleteBatch(connection, { keys: batch, signal, guard }));
  }
  if (refused.length > 0) throw removalError(connection, refused);
}

async function deleteBatch(
  connection: S3Connection,
  { keys, signal, guard }: Removal,
): Promise<readonly Refusal[]> {
  let left = keys;
  const final: Refusal[] = [];
  for (let round = 1;; round++) {
    const refused = await deleteOnce(connection, { keys: left, signal, guard });
    const passing = refused.filter(({ code }) => PASSING.has(code));
    final.push(...refused.filter(({ code }) => !PASSING.has(code)));
    if (passing.length === 0 || round === ROUNDS) return [...final, ...passing];
    await connection.backOff(round, { signal });
    left = passing.map(({ key }) => key);
  }
}

async function deleteOnce(
  connection: S3Connection,
  { keys, signal, guard }: Removal,
): Promise<readonly Refusal[]> {
  const { bucket: Bucket, keyPrefix } = connection.settings;
  const Objects = keys.map((key) => ({ Key: keyPrefix + key }));
  try {
    const { Errors = [] } = await connection.call({
      operation: "DeleteObjects",
      signal,
      send: (client, sdk, http) => {
        guard?.();
        const input = { Bucket, Delete: { Objects, Quiet: true } };
        return client.send(new sdk.DeleteObjectsCommand(input), http);
      },
    });
    return Errors.filter(({ Code }) => Code !== "NoSuchKey").map(({ Key, Code, Message }) => ({
      key: (Key ?? "").slice(keyPrefix.length),
      code: Code ?? "Unknown",
      message: Message ?? Code ?? "refused",
    }));
  } catch (error) {
    if (!(error instanceof S3CallError)) throw error;
    if (error.failure.code !== "NotImplemented") throw error.toStorageError();
    await deleteSingly(connection, { keys, signal, guard });
    return [];
  }
}

/** For stores without DeleteObjects, such as Google's. */
async function deleteSingly(
  connection: S3Connection,
  { keys, signal, guard }: Removal,
): Promise<void> {
  const { bucket: Bucket, keyPrefix } = connection.settings;
  for (const key of keys) {
    await connection.callOrThrow({
      operation: "DeleteObject",
      key,
      signal,
      send: (client, sdk, http) => {
        guard?.();
        return client.send(new sdk.DeleteObjectCommand({ Bucket, Key: keyPrefix + key }), http);
      },
    });
  }
}

function removalError({ settings }: S3Connection, refused: readonly Refusal[]): StorageError {
  const named = refused.slice(0, 10).map(({ key }) => key).join(", ");
  const more = refused.length > 10 ? ` and ${refused.length - 10} more` : "";
  const [first] = refused;
  return new StorageError(
    `${counted(refused.length, "object")} in ${
      s3Location(settings)
    } could not be removed (${named}${more}): ` +
      `${first?.code}: ${first?.message}`,
    first?.code === "AccessDenied"
      ? `allow s3:DeleteObject, or is there an object lock (WORM) on them?`
      : undefined,
  );
}
