import type { PruneParts } from "../engine/retention/prune_parts.ts";
import type { Context } from "./context.ts";
import { openLeases, openNotes } from "./open_leases.ts";
import { lockLocally } from "./local_lock.ts";
import { openCatalog, openSignatures, openStore, stateFolder } from "./open_parts.ts";
import type { Session } from "./session.ts";

/** What a removal is opened for. */
export interface RemovalWork<T> {
  readonly session: Session;
  readonly context: Context;
  /** Only reads: nobody is locked out, and the store is not tried. */
  readonly dryRun: boolean;
  readonly work: (parts: PruneParts) => Promise<T>;
}

/**
 * Opens what a removal needs, and locks out other removals of this machine.
 *
 * @throws {LeaseHeldError} when another process of this machine removes.
 */
export async function withRemovalParts<T>(
  { session, context, dryRun, work }: RemovalWork<T>,
): Promise<T> {
  const { config } = session.loaded;
  const store = await openStore(config, session.log, { removes: true });
  try {
    const repository = await openCatalog(store, config);
    const folder = dryRun ? undefined : stateFolder(config, context.env);
    const what = `removal from cluster ${config.cluster}`;
    using _lock = await lockLocally(folder, { name: "prune", what });
    const signRemoval = dryRun ? undefined : await removalSigner(store, session);
    return await work({
      ...(signRemoval && { signRemoval }),
      repository,
      store,
      leases: await openLeases(store, config),
      notes: await openNotes(store, config),
      clock: context.clock,
      progress: session.progress,
      conditionalPut: dryRun || await keepsConditions({ session, context, store }),
      ...(config.repository.type === "directory" && { batchKeys: 1 }),
    });
  } finally {
    await store.close?.();
  }
}

/** Undefined when nothing is signed here. @throws {KeyError} when the key cannot be read. */
async function removalSigner(
  store: PruneParts["store"],
  { loaded: { config }, progress }: Session,
): Promise<PruneParts["signRemoval"]> {
  if (!config.signing) return undefined;
  const { requireSigningKey } = await import("./signing.ts");
  const signatures = (await openSignatures(store, config))!;
  if (!signatures.signs) {
    progress.note(
      "signing.key_file is not set here: verify will say that what is removed now is missing",
    );
    return undefined;
  }
  await requireSigningKey(config);
  return (places, options) => signatures.signRemoval(places, options);
}

/** As repository.json says, or by trying. */
async function keepsConditions(
  { session, context: { signal }, store }: {
    readonly session: Session;
    readonly context: Context;
    readonly store: PruneParts["store"];
  },
): Promise<boolean> {
  const { readHeader } = await import("../catalog/repository_header.ts");
  const header = await readHeader(store, session.loaded.config.cluster, { signal });
  if (header?.conditionalPut === true) return true;
  // Nothing is written where there is no repository: the cluster's name may be a slip of the pen.
  if (!header) await (await openCatalog(store, session.loaded.config)).backups({ signal });
  const { probeConditionalPut } = await import("../storage/probe.ts");
  return (await probeConditionalPut(store, { signal })).ifAbsent;
}
