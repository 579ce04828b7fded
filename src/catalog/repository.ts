import type { ObjectOpener, ObjectSealer } from "../crypto/crypto.ts";
import type { BackupKind, BackupMethod } from "../domain/backup_id.ts";
import { backupId } from "../domain/backup_id.ts";
import { MiB } from "../domain/bytes.ts";
import { type Clock, systemClock } from "../domain/clock.ts";
import {
  type BackupctlError,
  IntegrityError,
  NothingMatchesError,
  ObjectExistsError,
  ObjectMissingError,
  RepositoryError,
  RunFailedError,
} from "../domain/errors.ts";
import { checkLabel } from "../domain/label.ts";
import { mapLimited } from "../domain/map_limited.ts";
import { nearest } from "../domain/nearest.ts";
import type { ObjectInfo, ObjectStore, ReadOptions } from "../storage/storage.ts";
import type {
  BackupManifest,
  BackupSlot,
  BackupsOptions,
  Repository,
  UnreadableBackup,
} from "./catalog.ts";
import { claimFolder, freeFolder } from "./claim_folder.ts";
import { backupFolder, manifestKey } from "./layout.ts";
import { listManifests, type ManifestKey } from "./list_manifests.ts";
import { parseManifest } from "./parse_manifest.ts";
import { withOpenedPart, withSealedPart } from "./private_part.ts";
import { decodeUtf8, readObject, readTextObject } from "./read_object.ts";
import { createHeader, readHeader } from "./repository_header.ts";
import { repositoryGone, type RepositoryMemory } from "./repository_memory.ts";
import type { Signatures } from "./signatures.ts";
import { refuseUnsigned } from "./signed_statement.ts";
import { stableJson } from "./stable_json.ts";

/** Requests for small objects at a time. */
const CONCURRENCY = 8;
/** A manifest has about 200 bytes an object: room for 600,000 chunks. */
export const MANIFEST_LIMIT_BYTES = 128 * MiB;
/** Further backups of the same second are somebody's loop gone wild. */
const MAX_SAME_SECOND = 999;
/** S3 removes at most so many keys a request. */
const DELETE_BATCH = 1000;

/** Whose repository to open. */
export interface RepositoryOptions {
  /** Its name in the store: a label. */
  readonly cluster: string;
  /** What time it is. @default {systemClock} */
  readonly clock?: Clock;
  /** Encrypts the names in the manifests of encrypted backups. */
  readonly sealer?: ObjectSealer;
  /** Opens them; without it, such manifests are listed without their names. */
  readonly opener?: ObjectOpener;
  /** Signs what is committed, and refuses what nobody signed. */
  readonly signatures?: Signatures;
  /** Keeps a repository that is gone from being begun anew. */
  readonly memory?: RepositoryMemory;
}

/**
 * Opens the repository of a cluster in `store`. Reads and writes nothing yet.
 *
 * @throws {UsageError} when the cluster's name is not allowed.
 */
export function openRepository(store: ObjectStore, options: RepositoryOptions): Repository {
  return new StoreRepository(store, options);
}

class StoreRepository implements Repository {
  readonly cluster: string;
  readonly location: string;
  readonly #store: ObjectStore;
  readonly #sealer: ObjectSealer | undefined;
  readonly #opener: ObjectOpener | undefined;
  readonly #signatures: Signatures | undefined;
  readonly #memory: RepositoryMemory | undefined;
  readonly #clock: Clock;

  constructor(
    store: ObjectStore,
    { cluster, clock = systemClock, sealer, opener, signatures, memory }: RepositoryOptions,
  ) {
    this.cluster = checkLabel("the cluster's name", cluster);
    this.location = `${store.location.replace(/\/+$/, "")}/${cluster}`;
    this.#store = store;
    this.#sealer = sealer;
    this.#opener = opener;
    this.#signatures = signatures;
    this.#memory = memory;
    this.#clock = clock;
  }

  async prepare(signal?: AbortSignal): Promise<void> {
    const options = reading(signal);
    if (await readHeader(this.#store, this.cluster, options)) return this.#memory?.remember();
    if (this.#memory?.isKnown()) throw repositoryGone(this.location, this.#memory);
    await createHeader(this.#store, this.cluster, { ...options, createdAt: this.#clock.now() });
    if (await readHeader(this.#store, this.cluster, options)) return this.#memory?.remember();
    throw new RepositoryError(
      `${this.location}/repository.json was written and is not there`,
      "is something removing objects at once, such as a lifecycle rule?",
    );
  }

  async backups(options: BackupsOptions = {}): Promise<readonly BackupManifest[]> {
    const { onUnreadable = () => {}, withObjects = true, signal } = options;
    const keys = await this.#manifestKeys(signal, options);
    const read = await mapLimited(keys, CONCURRENCY, async (key) => {
      const found = await this.#tryRead(key, signal);
      return found && "objects" in found && !withObjects ? { ...found, objects: [] } : found;
    });
    const manifests: BackupManifest[] = [];
    for (const result of read) {
      if (result === undefined) continue;
      if ("reason" in result) onUnreadable(result);
      else manifests.push(result);
    }
    return manifests.sort(byStopTime);
  }

  async backup(id: string, signal?: AbortSignal): Promise<BackupManifest> {
    // One backup is asked for: what else lies about does not matter.
    const keys = await this.#manifestKeys(signal, { onForeign: () => {} });
    const key = keys.findLast((candidate) => candidate.id === id);
    if (key) return await this.#read(key, signal);
    const near = nearNames(id, keys.map((candidate) => candidate.id).sort());
    throw new NothingMatchesError(
      `there is no backup "${id.slice(0, 80)}" in ${this.location}`,
      near.length > 0
        ? `did you mean ${near.join(", ")}? "backupctl status" lists all`
        : "the repository holds no backup yet",
    );
  }

  async begin(
    systemIdentifier: string,
    { method, kind, startedAt, signal }: {
      readonly method: BackupMethod;
      readonly kind: BackupKind;
      readonly startedAt: Date;
      readonly signal?: AbortSignal;
    },
  ): Promise<BackupSlot> {
    for (let again = 1; again <= MAX_SAME_SECOND; again++) {
      const id = backupId(startedAt, { method, kind, again });
      const folder = backupFolder(this.cluster, { systemIdentifier, id });
      if (!await this.#isEmpty(folder, signal)) continue;
      if (await claimFolder(this.#store, folder, reading(signal))) return { id, folder };
    }
    throw new RunFailedError(
      `all names for a backup that begins at ${startedAt.toISOString()} are taken`,
      "wait a second and run it again",
    );
  }

  async commit(manifest: BackupManifest, signal?: AbortSignal): Promise<ObjectInfo> {
    const key = manifestKey(this.cluster, manifest);
    const stored = await withSealedPart(manifest, { key, sealer: this.#sealer });
    const text = stableJson(stored);
    const expected = { ...manifest, cluster: this.cluster };
    parseManifest(text, { where: key, expected }); // nothing may be committed that no one can read
    await mapLimited(manifest.objects, CONCURRENCY, async (object) => {
      const found = await this.#store.head(this.folder(manifest) + object.key, reading(signal));
      if (found?.size === object.storedBytes) return;
      throw new IntegrityError(
        found
          ? `object ${object.key} has ${found.size} bytes in the store, ${object.storedBytes} were written`
          : `object ${object.key} is missing in the store although it was written`,
        "the backup was not committed; is another run or a lifecycle rule at work in the folder?",
      );
    });
    const bytes = new TextEncoder().encode(text);
    const signing = this.#signatures?.signs ? this.#signatures : undefined;
    const link = await signing?.sign(manifest, bytes, reading(signal));
    signal?.throwIfAborted();
    // Without the signal: an interrupted put may still take effect, and then its objects must stay.
    const info = await this.#putManifest(key, text);
    if (link) await signing!.remember(manifest, link);
    await freeFolder(this.#store, this.folder(manifest));
    return info;
  }

  async discard(slot: BackupSlot): Promise<void> {
    try {
      if (await this.#store.head(`${slot.folder}backup.json`)) return;
      let batch: string[] = [];
      for await (const { key } of this.#store.list(slot.folder)) {
        batch.push(key);
        if (batch.length < DELETE_BATCH) continue;
        await this.#store.delete(batch);
        batch = [];
      }
      if (batch.length > 0) await this.#store.delete(batch);
    } catch {
      // What stays has no manifest, so it is no backup.
    }
  }

  folder(manifest: BackupManifest): string {
    return backupFolder(this.cluster, manifest);
  }

  /**
   * By name. No manifest and no repository.json: there is no repository. Manifests alone will do,
   * since they are the truth.
   */
  async #manifestKeys(
    signal?: AbortSignal,
    { onUnreadable, onUnfinished, onForeign, mayBeNone = false }: BackupsOptions = {},
  ): Promise<ManifestKey[]> {
    const head = await readHeader(this.#store, this.cluster, reading(signal));
    const onMisplaced = (key: string) =>
      onUnreadable?.({ key, reason: "its folder's name is no system's or no backup's name" });
    const keys = await Array.fromAsync(
      listManifests(this.#store, this.cluster, {
        onMisplaced,
        ...(onUnfinished && { onUnfinished }),
        ...(onForeign && { onForeign }),
        ...reading(signal),
      }),
    );
    if (head || keys.length > 0) return keys;
    if (this.#memory?.isKnown()) throw repositoryGone(this.location, this.#memory);
    if (mayBeNone) return keys;
    throw new RepositoryError(
      `there is no repository at ${this.location}`,
      "are the bucket, the prefix and the cluster's name right? The first backup creates it",
    );
  }

  /** Undefined when it was removed since it was listed, which is no fault. */
  async #tryRead(
    key: ManifestKey,
    signal?: AbortSignal,
  ): Promise<BackupManifest | UnreadableBackup | undefined> {
    try {
      return await this.#read(key, signal);
    } catch (error) {
      if (error instanceof ObjectMissingError) return undefined;
      if (!(error instanceof IntegrityError || error instanceof RepositoryError)) throw error;
      return { key: key.key, reason: withHint(error), ...(error.hint && { hint: error.hint }) };
    }
  }

  async #read(place: ManifestKey, signal?: AbortSignal): Promise<BackupManifest> {
    const { key, systemIdentifier, id } = place;
    const options = { limit: MANIFEST_LIMIT_BYTES, ...reading(signal) };
    const { required } = this.#signatures ?? {};
    const statement = required && await this.#signatures!.statement(place, reading(signal));
    const bytes = await readObject(this.#store, key, options);
    if (statement) refuseUnsigned(bytes, statement);
    const text = decodeUtf8(bytes, key);
    const expected = { cluster: this.cluster, systemIdentifier, id };
    const stored = parseManifest(text, { where: key, expected });
    return await withOpenedPart(stored, { key, opener: this.#opener });
  }

  async #isEmpty(folder: string, signal?: AbortSignal): Promise<boolean> {
    for await (const _ of this.#store.list(folder, reading(signal))) return false;
    return true;
  }

  /** A put whose reply was lost is tried again by the adapter and then finds its own object. */
  async #putManifest(key: string, text: string): Promise<ObjectInfo> {
    const bytes = new TextEncoder().encode(text);
    try {
      return await this.#store.put(key, bytes, { ifAbsent: true });
    } catch (error) {
      if (!(error instanceof ObjectExistsError)) throw error;
      const held = await readTextObject(this.#store, key, { limit: MANIFEST_LIMIT_BYTES });
      const info = await this.#store.head(key);
      if (held === text && info) return info;
      throw error;
    }
  }
}

/** Those that begin so, the one that differs least, or the newest. */
function nearNames(wanted: string, names: readonly string[]): readonly string[] {
  const longer = names.filter((name) => name.startsWith(wanted));
  if (longer.length > 0) return longer.slice(-3);
  const one = nearest(wanted, names);
  return one === undefined ? names.slice(-3) : [one];
}

function reading(signal: AbortSignal | undefined): ReadOptions {
  return signal ? { signal } : {};
}

function withHint(error: BackupctlError): string {
  return error.hint === "upgrade backupctl" ? `${error.message}: ${error.hint}` : error.message;
}

function byStopTime(a: BackupManifest, b: BackupManifest): number {
  const times = Date.parse(a.stoppedAt) - Date.parse(b.stoppedAt);
  return times || (a.id < b.id ? -1 : 1);
}
