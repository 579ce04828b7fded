/**
 * Encryption on the WAL path. The data key is kept between calls, since wrapping one by age takes
 * longer than storing a segment; it is stepped on with every object, and only the next step is kept:
 * nothing on this host opens what was archived before.
 *
 * @module
 */
import { recipientsFingerprint, registerDataKey, wrappingsOf } from "../../catalog/data_keys.ts";
import {
  KeyRing,
  type KeyStep,
  newDataKey,
  nextSecret,
  ObjectOpener,
  ObjectSealer,
} from "../../crypto/crypto.ts";
import { type Clock, systemClock } from "../../domain/clock.ts";
import { ConfigError } from "../../domain/errors.ts";
import { sealedBody } from "../../engine/wal/sealed_body.ts";
import type { WalOpen, WalSeal } from "../../engine/wal/wal_object.ts";
import type { WalPushParts } from "../../engine/wal/wal_push.ts";
import type { ObjectStore } from "../../storage/storage.ts";
import { readIdentities } from "../read_identities.ts";
import type { WalSettings } from "./wal_settings.ts";
import { walTag } from "./wal_tag.ts";

/** A data key is used no longer than this … */
const LIFE_MS = 24 * 3_600_000;
/** … and for no more objects: a reader steps it on from the beginning. */
const LIFE_STEPS = 4096;

/** What a data key is kept in: the next step of it. */
interface KeptKey {
  /** Of the recipients. */
  readonly recipients: string;
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
}

/** Encrypts files of a data directory's WAL. @throws {ConfigError} when there is no recipient. */
export function sealing(
  settings: Pick<WalSettings, "cluster" | "encryption">,
  { dataDirectory, ...place }: WalKeyPlace & { readonly dataDirectory: string },
): NonNullable<WalPushParts["seal"]> {
  const seal = walSealer(settings, place);
  const tagOf = (sha256: string) => Promise.resolve(walTag(dataDirectory, sha256));
  return (file) => sealedBody(file, { seal, tagOf });
}

/** Encrypts what is pushed. @throws {ConfigError} when there is no recipient. */
export function walSealer(
  { cluster, encryption }: Pick<WalSettings, "cluster" | "encryption">,
  { store, folder, clock = systemClock }: WalKeyPlace,
): WalSeal {
  const recipients = encryption?.recipients;
  if (!recipients) {
    throw new ConfigError(
      "encryption.identity_file is set and encryption.recipients is not: " +
        "this would be stored in the clear",
      'name the recipients, too; "backupctl key check" prints the one of the identity',
    );
  }
  const fingerprint = recipientsFingerprint(recipients);
  const path = folder === undefined ? undefined : `${folder}/data-key.json`;
  const take = async (): Promise<KeyStep> => {
    const now = clock.now().getTime();
    const kept = path === undefined ? undefined : readKept(path, { fingerprint, now });
    if (kept) {
      keep(path!, kept);
      return { ...kept, secret: bytesOf(kept.secret) };
    }
    const key = await newDataKey(recipients);
    await registerDataKey({ store, cluster }, key, { recipients });
    const { id, wrapped, step, secret } = key;
    const made = {
      id,
      wrapped,
      step,
      secret: textOf(secret),
      recipients: fingerprint,
      madeAt: now,
    };
    if (path !== undefined) keep(path, made);
    return key;
  };
  const sealer = new ObjectSealer(take);
  return (key, plain, known) => sealer.seal(key, plain, known);
}

/** Opens what is fetched; undefined when no identity is configured. */
export function walOpener(
  { cluster, encryption }: Pick<WalSettings, "cluster" | "encryption">,
  store: ObjectStore,
): WalOpen | undefined {
  const file = encryption?.identityFile;
  if (file === undefined) return undefined;
  const place = { store, cluster };
  const ring = new KeyRing({
    identities: () => readIdentities(file),
    rewrapped: (id) => wrappingsOf(place, id),
  });
  const opener = new ObjectOpener(ring);
  return (key, sealed) => opener.open(key, sealed);
}

function readKept(
  path: string,
  { fingerprint, now }: { readonly fingerprint: string; readonly now: number },
): KeptKey | undefined {
  try {
    const kept: KeptKey = JSON.parse(Deno.readTextFileSync(path));
    const { recipients, id, wrapped, secret, step, madeAt } = kept;
    const isWhole = [id, wrapped, secret].every((text) =>
      typeof text === "string" && text !== ""
    ) &&
      bytesOf(secret).length === 32;
    const isFresh = madeAt <= now && now - madeAt < LIFE_MS && step < LIFE_STEPS;
    return isWhole && isFresh && recipients === fingerprint ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the step behind `used`, in its place. When that fails, the next call makes a new key. */
function keep(path: string, used: KeptKey): void {
  const next = textOf(nextSecret(bytesOf(used.secret)));
  const temporary = `${path}.${Deno.pid}.tmp`;
  try {
    const text = JSON.stringify({ ...used, step: used.step + 1, secret: next });
    Deno.writeTextFileSync(temporary, text, { mode: 0o600 });
    Deno.renameSync(temporary, path);
  } catch {
    remove(path);
  }
}

/** What was used already must not stay. */
function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It is not there.
  }
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
