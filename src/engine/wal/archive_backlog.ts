import type { WalName } from "../../domain/wal.ts";
import { type EncodedWalFile, encodeWalFile } from "./encode_wal_file.ts";
import { readyFiles } from "./ready_files.ts";
import { identityOf } from "./wal_file.ts";
import { pushWal, type WalPushParts } from "./wal_push.ts";
import type { WalSpool } from "./wal_spool.ts";

/** Uploads under way at a time. */
const UPLOADS = 4;

/** What archiving everything needs of the world. */
export interface BacklogParts extends WalPushParts {
  /** Undefined: every call looks at every file again, which is slow and right. */
  readonly spool: WalSpool | undefined;
}

/** What one call did. */
export interface BacklogReport {
  /** Stored by this call, or found in the archive with the same content. */
  readonly pushed: number;
  /** Confirmed by the mark of an earlier call. */
  readonly confirmed: number;
}

/**
 * Archives every file that PostgreSQL wants archived at this moment: for an archive command that is
 * not told which one. Returns only when the store has confirmed all of them.
 *
 * @param options.walFolder the data directory's pg_wal.
 * @throws {BackupctlError} the first failure; marks keep what was stored before it.
 */
export async function archiveBacklog(
  parts: BacklogParts,
  { walFolder, signal }: { readonly walFolder: string; readonly signal: AbortSignal },
): Promise<BacklogReport> {
  const names = readyFiles(walFolder);
  parts.spool?.keepOnly(names.map(({ name }) => name));
  const waiting = names.filter((name) => !isMarked(parts, { walFolder, name }));
  const uploads = new Uploads(parts, signal);
  try {
    for (const name of waiting) {
      signal.throwIfAborted();
      const { codec, place, seal } = parts;
      const path = `${walFolder}/${name.name}`;
      await uploads.add(await encodeWalFile(path, { codec, place, seal }));
      // Who restores needs the histories to understand the segments.
      if (name.kind === "history") await uploads.finish();
    }
  } finally {
    await uploads.finish().catch(() => {}); // thrown below, or beside an earlier failure
    parts.spool?.settle();
  }
  await uploads.finish();
  return { pushed: waiting.length, confirmed: names.length - waiting.length };
}

function isMarked(
  { spool }: BacklogParts,
  { walFolder, name }: { readonly walFolder: string; readonly name: WalName },
): boolean {
  if (!spool) return false;
  return spool.markOf(name.name, identityOf(`${walFolder}/${name.name}`)) !== undefined;
}

/** Stores several files at a time; remembers the first failure and begins nothing after it. */
class Uploads {
  readonly #parts: BacklogParts;
  readonly #signal: AbortSignal;
  readonly #pending = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: BacklogParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  /** Waits for a free place. @throws the first failure. */
  async add(encoded: EncodedWalFile): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const upload = this.#store(encoded).catch((error) => void (this.#failure ??= { error }));
    this.#pending.add(upload);
    void upload.then(() => this.#pending.delete(upload));
    if (this.#pending.size >= UPLOADS) await Promise.race(this.#pending);
  }

  /** Waits for all. @throws the first failure. */
  async finish(): Promise<void> {
    await Promise.all(this.#pending);
    if (this.#failure) throw this.#failure.error;
  }

  async #store(encoded: EncodedWalFile): Promise<void> {
    const { sha256 } = await pushWal(this.#parts, encoded, this.#signal);
    const { identity, name: { name } } = encoded;
    this.#parts.spool?.mark({ name, identity, sha256 });
  }
}
