/**
 * Encryption on the WAL path. The data key is kept between calls, since wrapping one by age takes
 * longer than storing a segment; it is stepped on with every object, and only the next step is kept:
 * nothing on this host opens what was archived before.
 *
 * @module
 */
import type { KeyStep } from "../../crypto/crypto.ts";
// By itself: the whole of encryption would take a millisecond of each call.
import { nextSecret } from "../../crypto/data_key.ts";
import { ObjectSealer } from "../../crypto/object_sealer.ts";
import { type Clock, systemClock } from "../../domain/clock.ts";
import { ConfigError } from "../../domain/errors.ts";
import { type HoldWal, sealedWriter } from "../../engine/wal/sealed_wal.ts";
import { replaceFile } from "../../engine/wal/wal_spool.ts";
import type { WalSeal } from "../../engine/wal/wal_object.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import type { WalSettings } from "./wal_settings.ts";
import { walTag } from "./wal_tag.ts";

/** A data key is used no longer than this … */
const LIFE_MS = 24 * 3_600_000;
/** … and for no more objects: a reader steps it on from the beginning. */
const LIFE_STEPS = 4096;

/** What a data key is kept in: the next step of it. */
interface KeptKey {
  readonly recipients: readonly string[];
  readonly id: string;
  readonly wrapped: string;
  readonly step: number;
  /** In base64. */
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
}

/** Where the data keys of one archive are kept. */
export interface WalKeyPlace {
  readonly store: ObjectStore;
  /** A folder that nobody else can read; undefined: each call makes a key of its own. */
  readonly folder: string | undefined;
  readonly clock?: Clock;
  /** Ends the registering of a new key. */
  readonly signal?: AbortSignal;
}

/** Encrypts files of a data directory's WAL. @throws {ConfigError} when there is no recipient. */
export function sealing(
  settings: Pick<WalSettings, "cluster" | "encryption">,
  { dataDirectory, ...place }: WalKeyPlace & { readonly dataDirectory: string },
): WalSeal {
  const hold = walSealer(settings, place);
  const tagOf = (sha256: string) => Promise.resolve(walTag(dataDirectory, sha256));
  return (target) => sealedWriter(target, { hold, tagOf });
}

/** Encrypts what is pushed. @throws {ConfigError} when there is no recipient. */
export function walSealer(
  { cluster, encryption }: Pick<WalSettings, "cluster" | "encryption">,
  { store, folder, clock = systemClock, signal }: WalKeyPlace,
): HoldWal {
  const recipients = encryption?.recipients;
  if (!recipients) {
    throw new ConfigError(
      "encryption.identity_file is set and encryption.recipients is not: " +
        "this would be stored in the clear",
      'name the recipients, too; "backupctl key check" prints the one of the identity',
    );
  }
  const path = folder === undefined ? undefined : `${folder}/data-key.json`;
  const take = async (): Promise<KeyStep> => {
    const now = clock.now().getTime();
    const kept = path === undefined ? undefined : readKept(path, { recipients, now });
    if (kept && keep(path!, kept)) return { ...kept, secret: bytesOf(kept.secret) };
    const key = await newKey(recipients, { store, cluster, ...(signal && { signal }) });
    const { id, wrapped, step, secret } = key;
    const made = { recipients, id, wrapped, step, secret: textOf(secret), madeAt: now };
    if (path !== undefined) keep(path, made);
    return key;
  };
  const sealer = new ObjectSealer(take);
  return (key, known) => sealer.hold(key, { ...known, tagged: true });
}

/** Once a day: what it takes is loaded for it alone. */
async function newKey(
  recipients: readonly string[],
  { signal, ...place }: Pick<WalKeyPlace, "store" | "signal"> & { readonly cluster: string },
): Promise<KeyStep> {
  const { newDataKey } = await import("../../crypto/crypto.ts");
  const { registerDataKey } = await import("../../catalog/data_keys.ts");
  const key = await newDataKey(recipients);
  await registerDataKey(place, key, { recipients, ...(signal && { signal }) });
  return key;
}

function readKept(
  path: string,
  { recipients, now }: { readonly recipients: readonly string[]; readonly now: number },
): KeptKey | undefined {
  try {
    const kept: KeptKey = JSON.parse(Deno.readTextFileSync(path));
    const { id, wrapped, secret, step, madeAt } = kept;
    const isWhole = [id, wrapped, secret].every((text) =>
      typeof text === "string" && text !== ""
    ) &&
      bytesOf(secret).length === 32;
    const isFresh = madeAt <= now && now - madeAt < LIFE_MS && step < LIFE_STEPS;
    const isTheirs = `${kept.recipients}` === `${recipients}`;
    return isWhole && isFresh && isTheirs ? kept : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps the step behind `used` in its place, or nothing: then the next call makes a new key.
 *
 * @returns false when `used` itself stays there: it must not seal anything.
 */
function keep(path: string, used: KeptKey): boolean {
  const next = textOf(nextSecret(bytesOf(used.secret)));
  try {
    replaceFile(path, JSON.stringify({ ...used, step: used.step + 1, secret: next }));
    return true;
  } catch {
    return isRemoved(path);
  }
}

function isRemoved(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
