/**
 * Encryption as the configuration asks for it. One set for each configuration that is loaded: the
 * codecs and the manifests of a run share its data key.
 *
 * @module
 */
import { type KeyPlace, registerDataKey, wrappingsOf } from "../catalog/data_keys.ts";
import type { Config } from "../config/config.ts";
import { KeyRing, type KeyStep, newDataKey, ObjectOpener, ObjectSealer } from "../crypto/crypto.ts";
import { ConfigError } from "../domain/errors.ts";
import type { ObjectStore } from "../storage/storage.ts";
import { readIdentities } from "./read_identities.ts";

/** What encrypts and what opens; each absent when the configuration does not name its keys. */
export interface Seals {
  readonly sealer?: ObjectSealer;
  readonly opener?: ObjectOpener;
  readonly ring?: KeyRing;
}

class SealSet implements Seals {
  readonly sealer?: ObjectSealer;
  readonly opener?: ObjectOpener;
  readonly ring?: KeyRing;
  readonly #config: Config;
  readonly #store: () => ObjectStore;
  #key: Promise<KeyStep> | undefined;

  constructor(config: Config, store: () => ObjectStore) {
    this.#config = config;
    this.#store = store;
    const { recipients, identity_file: file } = config.encryption ?? {};
    if (config.encryption) this.sealer = new ObjectSealer(() => this.#dataKey(recipients));
    if (file === undefined) return;
    this.ring = new KeyRing({
      identities: () => readIdentities(file),
      rewrapped: (keyId) => wrappingsOf(this.#place, keyId),
    });
    this.opener = new ObjectOpener(this.ring);
  }

  /** The next object gets another data key. */
  renew(): void {
    this.#key = undefined;
  }

  /** Registered before it is used: a key that is not there could not be given to new recipients. */
  #dataKey(recipients: readonly string[] | undefined): Promise<KeyStep> {
    if (recipients === undefined) return Promise.reject(noRecipients());
    this.#key ??= this.#newKey(recipients);
    this.#key.catch(() => this.renew());
    return this.#key;
  }

  async #newKey(recipients: readonly string[]): Promise<KeyStep> {
    const key = await newDataKey(recipients);
    await registerDataKey(this.#place, key, { recipients });
    return key;
  }

  get #place(): KeyPlace {
    return { store: this.#store(), cluster: this.#config.cluster };
  }
}

const sets = new WeakMap<Config, SealSet>();
const stores = new WeakMap<Config, ObjectStore>();

/** Where the data keys of this configuration are registered. */
export function rememberStore(config: Config, store: ObjectStore): void {
  stores.set(config, store);
}

/** What the configuration asks for; nothing when it does not name encryption. */
export function sealsOf(config: Config): Seals {
  return setOf(config);
}

/**
 * What a new run encrypts and opens with: its data key is its own.
 *
 * @throws {ConfigError} never here, but when the first object is sealed and a recipient is none.
 */
export function newSeals(config: Config): Seals {
  const set = setOf(config);
  set.renew();
  return set;
}

/**
 * A run that stores data must encrypt it when encryption is configured at all.
 *
 * @throws {ConfigError}
 */
export function requireRecipients({ encryption }: Config): void {
  if (encryption !== undefined && encryption.recipients === undefined) throw noRecipients();
}

function noRecipients(): ConfigError {
  return new ConfigError(
    "encryption.identity_file is set and encryption.recipients is not: this would be stored in the clear",
    'name the recipients, too; "backupctl key check" prints the one of the identity',
  );
}

function setOf(config: Config): SealSet {
  const known = sets.get(config);
  if (known) return known;
  const made = new SealSet(config, () => {
    const store = stores.get(config);
    if (!store) throw new TypeError("the store is opened before anything is encrypted");
    return store;
  });
  sets.set(config, made);
  return made;
}
