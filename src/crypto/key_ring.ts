import type { Bytes } from "../domain/bytes.ts";
import { KeyError } from "../domain/errors.ts";
import { unwrapKey } from "./age_keys.ts";
import { nextSecret, objectKey } from "./data_key.ts";
import type { SealHeader } from "./seal_format.ts";

/** What a key ring opens data keys with. */
export interface KeyRingOptions {
  /** The identities: asked for once, and not before one is needed. */
  readonly identities: () => Promise<readonly string[]>;
  /** Other wrappings of a data key, made when the recipients were changed. */
  readonly rewrapped?: (keyId: string) => Promise<readonly string[]>;
}

interface Stepped {
  readonly step: number;
  readonly secret: Bytes;
}

/** Opens data keys and remembers them while the process lives. */
export class KeyRing {
  readonly #options: KeyRingOptions;
  #identities: Promise<readonly string[]> | undefined;
  /** As they were wrapped. By the wrapping, too: a forged header must not spoil a good key. */
  readonly #secrets = new Map<string, Promise<Bytes>>();
  /** Where the last object of a key stood: the next one is rarely further back. */
  readonly #steps = new Map<string, Stepped>();
  /** By the id alone. */
  readonly #known = new Map<string, Bytes>();

  /** Opens nothing yet. */
  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /**
   * The key of one object.
   *
   * @throws {KeyError} when no identity is there, or none of them opens the data key.
   */
  async objectKey(header: SealHeader, name: string): Promise<Bytes> {
    const { salt, step } = header;
    return objectKey(await this.#stepped(header, step), { name, salt });
  }

  /** The secret itself, to be wrapped anew. @throws {KeyError} */
  async secret({ keyId, wrapped }: Pick<SealHeader, "keyId" | "wrapped">): Promise<Bytes> {
    const id = `${keyId} ${wrapped}`;
    let opening = this.#secrets.get(id);
    if (opening === undefined) {
      opening = this.#open(keyId, wrapped);
      this.#secrets.set(id, opening);
      opening.then((secret) => this.#known.set(keyId, secret), () => this.#secrets.delete(id));
    }
    return await opening;
  }

  async #stepped(header: SealHeader, step: number): Promise<Bytes> {
    const id = `${header.keyId} ${header.wrapped}`;
    const before = this.#steps.get(id);
    let at = before && before.step <= step
      ? before
      : { step: 0, secret: await this.secret(header) };
    while (at.step < step) at = { step: at.step + 1, secret: nextSecret(at.secret) };
    this.#steps.set(id, at);
    return at.secret;
  }

  async #open(keyId: string, wrapped: string): Promise<Bytes> {
    this.#identities ??= this.#options.identities();
    const identities = await this.#identities;
    if (identities.length === 0) throw missing();
    const own = await unwrapKey(wrapped, identities);
    if (own) return own;
    for (const other of await this.#options.rewrapped?.(keyId) ?? []) {
      const secret = await unwrapKey(other, identities);
      if (secret) return secret;
    }
    // Opened before, from another object: then this wrapping is damaged, and the frames will tell.
    const known = this.#known.get(keyId);
    if (known) return known;
    throw new KeyError(
      `no identity opens data key ${keyId}`,
      "give the identity of one of the recipients it was encrypted to; " +
        '"backupctl key check" tells what an identity opens',
    );
  }
}

function missing(): KeyError {
  return new KeyError(
    "this is encrypted, and no identity is given",
    "name a file with it: encryption.identity_file, or --identity FILE (- for standard input)",
  );
}
