import { randomBytes } from "node:crypto";
import type { SigningKey, TrustedKeys } from "../crypto/crypto.ts";
import type { Bytes } from "../domain/bytes.ts";
import { MiB } from "../domain/bytes.ts";
import { type Clock, systemClock } from "../domain/clock.ts";
import { IntegrityError, ObjectExistsError, ObjectMissingError } from "../domain/errors.ts";
import { mapLimited } from "../domain/map_limited.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { clusterFolder, manifestKey, type ManifestPlace, signatureKey } from "./layout.ts";
import { listManifests } from "./list_manifests.ts";
import { readObject } from "./read_object.ts";
import {
  type ChainAudit,
  type ChainMemory,
  findGaps,
  nextLink,
  type SignedChain,
} from "./signed_chain.ts";
import {
  type BackupStatement,
  parseBackupStatement,
  parseRemovalStatement,
  refuseElsewhere,
  sha256Of,
  type SignedLink,
} from "./signed_statement.ts";
import { stableJson } from "./stable_json.ts";

/** Requests for small objects at a time. */
const CONCURRENCY = 8;
/** A removal of many thousand backups at once. */
const LIMIT_BYTES = 8 * MiB;

/** Whose signatures count, and what signs. */
export interface SignaturesOptions {
  readonly cluster: string;
  /** Absent: nothing is checked. */
  readonly trusted?: TrustedKeys;
  /** Asked for when something is to be signed; absent: nothing is signed. */
  readonly key?: () => Promise<SigningKey>;
  readonly memory?: ChainMemory;
  /** What time it is. @default {systemClock} */
  readonly clock?: Clock;
}

interface ChainOptions extends ReadOptions {
  /** The backups of the system that are there. */
  readonly places: readonly ManifestPlace[];
}

/**
 * The signatures of a cluster's backups: `backup.json.sig` beside each backup.json, put before it,
 * and `removed/` for those that were removed. Everything that reads a manifest asks here.
 */
export class Signatures {
  /** Whether a manifest that is not signed is refused. */
  readonly required: boolean;
  /** Whether there is a key to sign with. */
  readonly signs: boolean;
  readonly #store: ObjectStore;
  readonly #options: SignaturesOptions;
  readonly #clock: Clock;

  /** Contacts nobody yet. */
  constructor(store: ObjectStore, options: SignaturesOptions) {
    this.required = options.trusted !== undefined;
    this.signs = options.key !== undefined;
    this.#store = store;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * What is signed of a backup. Ask before its manifest is read: nothing else of it counts.
   *
   * @throws {ObjectMissingError} when the backup was removed meanwhile.
   * @throws {IntegrityError} when it is not signed by a trusted key, or for another backup.
   */
  async statement(place: ManifestPlace, options: ReadOptions = {}): Promise<BackupStatement> {
    const { cluster, trusted } = this.#options;
    return await this.#statement(place, { keys: trusted!, cluster, ...options });
  }

  /**
   * Signs a manifest as the next one of its system.
   *
   * @param manifest its bytes as they will be stored.
   * @returns what {@link Signatures.remember} takes, once the manifest is there.
   */
  async sign(
    place: ManifestPlace,
    manifest: Bytes,
    options: ReadOptions = {},
  ): Promise<SignedLink> {
    return await this.#sign(place, manifest, await this.chain(place.systemIdentifier, options));
  }

  /**
   * Signs backups that are there and have no signature, in this order.
   *
   * @returns those that were signed.
   */
  async signExisting<Place extends ManifestPlace>(
    places: readonly Place[],
    options: ReadOptions & { readonly limit: number },
  ): Promise<readonly Place[]> {
    const { cluster } = this.#options;
    const chains = new Map<string, SignedChain>();
    const signed: Place[] = [];
    for (const place of places) {
      const { systemIdentifier } = place;
      if (await this.#store.head(signatureKey(cluster, place), options)) continue;
      const bytes = await readObject(this.#store, manifestKey(cluster, place), options);
      const chain = chains.get(systemIdentifier) ?? await this.chain(systemIdentifier, options);
      const statement = await this.#sign(place, bytes, chain);
      chains.set(systemIdentifier, { ...chain, present: [...chain.present, statement] });
      signed.push(place);
    }
    return signed;
  }

  async #sign(
    place: ManifestPlace,
    manifest: Bytes,
    chain: SignedChain,
  ): Promise<BackupStatement> {
    const { cluster, memory } = this.#options;
    const { systemIdentifier, id } = place;
    const key = await this.#options.key!();
    const next = nextLink(chain, await memory?.newest(systemIdentifier));
    const statement: BackupStatement = {
      ...{ format: "backupctl.signature", version: 1, cluster, systemIdentifier, id },
      ...{ ...next, previous: [...next.previous], sha256: sha256Of(manifest) },
      signedAt: this.#clock.now().toISOString(),
    };
    await this.#put(signatureKey(cluster, place), key.sign(stableJson(statement)));
    return statement;
  }

  /** Keeps in mind that this backup is there. Never throws. */
  async remember({ systemIdentifier }: ManifestPlace, link: SignedLink): Promise<void> {
    await this.#options.memory?.remember(systemIdentifier, linkOf(link));
  }

  /**
   * What is signed and not there, system by system. Remembers what is.
   *
   * @throws {StorageError} when the store cannot be asked.
   */
  async audit(options: ReadOptions = {}): Promise<readonly ChainAudit[]> {
    const places = await this.#places(options);
    const found: ChainAudit[] = [];
    for (const [systemIdentifier, own] of Map.groupBy(places, (place) => place.systemIdentifier)) {
      found.push(await this.#audit(systemIdentifier, { places: own, ...options }));
    }
    return found;
  }

  async #audit(systemIdentifier: string, options: ChainOptions): Promise<ChainAudit> {
    const { memory } = this.#options;
    const chain = await this.#chain(systemIdentifier, options);
    const gaps = findGaps(chain);
    const remembered = await memory?.newest(systemIdentifier);
    const { newest } = gaps;
    if (newest) await memory?.remember(systemIdentifier, linkOf(newest));
    const isRolledBack = remembered && remembered.sequence > gaps.highest;
    return {
      ...{ systemIdentifier, signed: chain.present.length, ...gaps },
      ...(isRolledBack && { rolledBack: remembered }),
    };
  }

  /**
   * Signs that backups are removed: without it they are missed later. Those that are not signed
   * themselves are left out, nobody misses them.
   */
  async signRemoval(places: readonly ManifestPlace[], options: ReadOptions = {}): Promise<void> {
    const { cluster } = this.#options;
    const key = await this.#options.key!();
    const now = this.#clock.now().toISOString();
    for (const systemIdentifier of new Set(places.map((place) => place.systemIdentifier))) {
      const own = places.filter((place) => place.systemIdentifier === systemIdentifier);
      const backups = (await this.#links(own, options)).map(linkOf);
      if (backups.length === 0) continue;
      const text = stableJson({
        ...{ format: "backupctl.removal", version: 1, cluster, systemIdentifier, backups },
        signedAt: now,
      });
      const name = `${now.replace(/[-:.]/g, "")}-${randomBytes(4).toString("hex")}.sig`;
      await this.#put(removalFolder(cluster, systemIdentifier) + name, key.sign(text));
    }
  }

  /** Every signature of a system that a trusted key made; the others say nothing. */
  async chain(systemIdentifier: string, options: ReadOptions = {}): Promise<SignedChain> {
    const all = await this.#places(options);
    const places = all.filter((place) => place.systemIdentifier === systemIdentifier);
    return await this.#chain(systemIdentifier, { places, ...options });
  }

  async #places(options: ReadOptions): Promise<readonly ManifestPlace[]> {
    return await Array.fromAsync(listManifests(this.#store, this.#options.cluster, options));
  }

  async #chain(
    systemIdentifier: string,
    { places, ...options }: ChainOptions,
  ): Promise<SignedChain> {
    const { cluster } = this.#options;
    const removals: string[] = [];
    const folder = removalFolder(cluster, systemIdentifier);
    for await (const { key } of this.#store.list(folder, options)) removals.push(key);
    const keys = await this.#known();
    const read = await mapLimited(removals, CONCURRENCY, (where) =>
      ifRight(async () => {
        const signed = await readObject(this.#store, where, { limit: LIMIT_BYTES, ...options });
        const found = parseRemovalStatement(keys.open(signed, { where }), where);
        refuseElsewhere(found, { where, cluster, systemIdentifier });
        return found.backups;
      }));
    return {
      present: await this.#links(places, options),
      removed: read.flatMap((backups) => backups ?? []),
    };
  }

  async #links(
    places: readonly ManifestPlace[],
    options: ReadOptions,
  ): Promise<readonly BackupStatement[]> {
    const { cluster } = this.#options;
    const keys = await this.#known();
    const read = await mapLimited(
      places,
      CONCURRENCY,
      (place) => ifRight(() => this.#statement(place, { keys, cluster, ...options })),
    );
    return read.filter((statement) => statement !== undefined);
  }

  async #statement(
    place: ManifestPlace,
    { keys, cluster, ...options }: ReadOptions & {
      readonly keys: TrustedKeys;
      readonly cluster: string;
    },
  ): Promise<BackupStatement> {
    const where = signatureKey(cluster, place);
    const signed = await this.#read(where, { manifest: manifestKey(cluster, place), ...options });
    const statement = parseBackupStatement(keys.open(signed, { where }), where);
    refuseElsewhere(statement, { ...place, where, cluster });
    return statement;
  }

  /** @throws {IntegrityError} when it is not there, and what it should sign is. */
  async #read(
    where: string,
    { manifest, ...options }: ReadOptions & { readonly manifest: string },
  ): Promise<Bytes> {
    try {
      return await readObject(this.#store, where, { limit: LIMIT_BYTES, ...options });
    } catch (cause) {
      if (!(cause instanceof ObjectMissingError)) throw cause;
      if (!await this.#store.head(manifest, options)) throw cause; // removed since it was listed
      throw new IntegrityError(
        `${where} is missing: the backup is not signed`,
        'it was put there by somebody else, or before backups were signed: see "key sign"',
        { cause },
      );
    }
  }

  /** The trusted keys; where none are named, the own one. */
  async #known(): Promise<TrustedKeys> {
    const { trusted, key } = this.#options;
    if (trusted) return trusted;
    const { TrustedKeys } = await import("../crypto/crypto.ts");
    return new TrustedKeys([(await key!()).publicKey]);
  }

  /** A put whose reply was lost is tried again by the adapter and then finds its own object. */
  async #put(key: string, bytes: Bytes): Promise<void> {
    try {
      await this.#store.put(key, bytes, { ifAbsent: true });
    } catch (error) {
      if (!(error instanceof ObjectExistsError)) throw error;
      const held = await readObject(this.#store, key, { limit: LIMIT_BYTES });
      if (!Buffer.from(held).equals(bytes)) throw error;
    }
  }
}

/** `<cluster>/<system>/removed/`. */
function removalFolder(cluster: string, systemIdentifier: string): string {
  return `${clusterFolder(cluster)}${systemIdentifier}/removed/`;
}

function linkOf({ id, sequence, sha256 }: SignedLink): SignedLink {
  return { id, sequence, sha256 };
}

async function ifRight<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof IntegrityError || error instanceof ObjectMissingError) return undefined;
    throw error;
  }
}
