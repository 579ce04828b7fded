/** Signed repositories in memory. */
import type { BackupManifest, Repository } from "../../src/catalog/catalog.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import { Signatures } from "../../src/catalog/signatures.ts";
import type { ChainMemory } from "../../src/catalog/signed_chain.ts";
import type { SignedLink } from "../../src/catalog/signed_statement.ts";
import { generateSigningKey, SigningKey, TrustedKeys } from "../../src/crypto/crypto.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";

/** A new key that signs. */
export function newSigningKey(): SigningKey {
  return SigningKey.parse(generateSigningKey().pem, { where: "a test" });
}

/** What a machine remembers, for as long as a test runs. */
export function newMemory(): ChainMemory {
  const newest = new Map<string, SignedLink>();
  return {
    newest: (system) => Promise.resolve(newest.get(system)),
    remember: (system, link) => {
      if ((newest.get(system)?.sequence ?? 0) < link.sequence) newest.set(system, link);
      return Promise.resolve();
    },
  };
}

/** One machine's view of a repository. */
export interface SigningHost {
  readonly repository: Repository;
  readonly signatures: Signatures;
}

/** A machine that signs with `key` and trusts `trusted`; each may be absent. */
export function signingHost(
  store: ObjectStore,
  { cluster = "main", key, trusted, memory }: {
    readonly cluster?: string;
    readonly key?: SigningKey;
    readonly trusted?: readonly SigningKey[];
    readonly memory?: ChainMemory;
  },
): SigningHost {
  const signatures = new Signatures(store, {
    cluster,
    ...(key && { key: () => Promise.resolve(key) }),
    ...(trusted && { trusted: new TrustedKeys(trusted.map(({ publicKey }) => publicKey)) }),
    ...(memory && { memory }),
  });
  return { signatures, repository: openRepository(store, { cluster, signatures }) };
}

/** Stores a backup's objects with their promised sizes, and commits it. */
export async function commitWhole(
  { repository }: Pick<SigningHost, "repository">,
  store: ObjectStore,
  manifest: BackupManifest,
): Promise<void> {
  for (const { key, storedBytes } of manifest.objects) {
    await store.put(repository.folder(manifest) + key, new Uint8Array(storedBytes));
  }
  await repository.commit(manifest);
}
