/** Chains of physical backups without a server: relations that change, and what they are at each link. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { BackupManifest } from "../../src/catalog/catalog.ts";
import { openRepository } from "../../src/catalog/repository.ts";
import type { CodecPool } from "../../src/codec/codec.ts";
import { systemClock } from "../../src/domain/clock.ts";
import type { Bytes } from "../../src/domain/bytes.ts";
import { silentProgress } from "../../src/domain/progress.ts";
import type { BackupParts, RestoreOptions, RestoreReport } from "../../src/engine/parts.ts";
import {
  incrementalHeader,
  PAGE_BYTES,
} from "../../src/engine/physical/incremental/incremental_header.ts";
import { incrementalName } from "../../src/engine/physical/incremental/incremental_name.ts";
import { takePhysicalBackup } from "../../src/engine/physical/take_physical_backup.ts";
import { RestoreEngine } from "../../src/engine/restore_engine.ts";
import type { ObjectStore } from "../../src/storage/storage.ts";
import { CORE_MEMBERS, type FakeMember, FakeSource } from "./fake_base_backup.ts";
import { samplePhysical } from "./manifests.ts";

/** What happens to the relation of that number between two backups. */
export type Change =
  | { readonly kind: "write"; readonly relation: number; readonly block: number }
  /** Extended by zeros that no log knows of. */
  | { readonly kind: "extend"; readonly relation: number; readonly blocks: number }
  | { readonly kind: "truncate"; readonly relation: number; readonly blocks: number }
  | { readonly kind: "drop"; readonly relation: number }
  | { readonly kind: "create"; readonly relation: number; readonly blocks: number };

const relation = fc.nat(5);
const blocks = fc.nat(9);

/** Changes before each increment of a chain. */
export const changes: fc.Arbitrary<readonly (readonly Change[])[]> = fc.array(
  fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant("write" as const), relation, block: fc.nat(12) }),
      },
      fc.record({ kind: fc.constant("extend" as const), relation, blocks }),
      fc.record({ kind: fc.constant("truncate" as const), relation, blocks }),
      fc.record({ kind: fc.constant("drop" as const), relation }),
      fc.record({ kind: fc.constant("create" as const), relation, blocks }),
    ),
    { maxLength: 12 },
  ),
  { minLength: 1, maxLength: 5 },
);

/** One relation, and what a summary of the log would say of it since the last backup. */
class Relation {
  pages: number[];
  /** Of the pages that the log has changed. */
  changed = new Set<number>();
  /** The shortest that it was. */
  limit: number;
  /** Whether the last backup has it. */
  known = false;

  constructor(pages: readonly number[]) {
    this.pages = [...pages];
    this.limit = pages.length;
  }

  backedUp(): void {
    this.known = true;
    this.changed = new Set();
    this.limit = this.pages.length;
  }
}

/** A page whose content tells its number; 0 is all zeros. */
function page(version: number): Bytes {
  const bytes = new Uint8Array(PAGE_BYTES);
  if (version > 0) bytes.fill(version & 0xff).set(new Uint8Array(Int32Array.of(version).buffer));
  return bytes;
}

function content(pages: readonly number[]): Bytes {
  const bytes = new Uint8Array(pages.length * PAGE_BYTES);
  pages.forEach((version, index) => bytes.set(page(version), index * PAGE_BYTES));
  return bytes;
}

/** A cluster of a few relations, its repository, and the engines over both. */
export class FakeChain {
  readonly store: ObjectStore;
  readonly #codecs: CodecPool;
  readonly #relations = new Map<number, Relation>();
  #version = 0;
  #links = 0;

  constructor(store: ObjectStore, codecs: CodecPool) {
    this.store = store;
    this.#codecs = codecs;
    for (const number of [0, 1, 2]) this.change({ kind: "create", relation: number, blocks: 6 });
  }

  change(change: Change): void {
    const found = this.#relations.get(change.relation);
    if (change.kind === "create") {
      const pages = Array.from({ length: change.blocks }, () => this.#version += 1);
      this.#relations.set(change.relation, new Relation(pages));
    } else if (found && change.kind === "drop") this.#relations.delete(change.relation);
    else if (found) this.#alter(found, change);
  }

  #alter(found: Relation, change: Change): void {
    if (change.kind === "write") {
      while (found.pages.length <= change.block) found.pages.push(0);
      found.pages[change.block] = this.#version += 1;
      found.changed.add(change.block);
    }
    if (change.kind === "extend") {
      for (let block = 0; block < change.blocks; block++) found.pages.push(0);
    }
    if (change.kind === "truncate" && change.blocks < found.pages.length) {
      found.pages.length = change.blocks;
      found.limit = Math.min(found.limit, change.blocks);
      for (const block of found.changed) if (block >= change.blocks) found.changed.delete(block);
    }
  }

  /** What a restore has to bring back, by path. */
  state(): ReadonlyMap<string, Bytes> {
    return new Map(
      [...this.#relations].map(([number, { pages }]) => [path(number), content(pages)]),
    );
  }

  /** Takes a full backup, or an increment on `parent`, and commits it. */
  async backUp(parent?: BackupManifest): Promise<BackupManifest> {
    const members = this.#members(parent !== undefined);
    for (const one of this.#relations.values()) one.backedUp();
    this.#links += 1;
    const second = String(this.#links).padStart(2, "0");
    const base = samplePhysical({
      id: `20261122T0200${second}Z-${parent ? "I" : "F"}`,
      kind: parent ? "incremental" : "full",
      parentId: parent?.id ?? null,
      startedAt: `2026-11-22T02:00:${second}.000Z`,
      stoppedAt: `2026-11-22T02:01:${second}.000Z`,
      tablespaces: [],
    });
    const repository = openRepository(this.store, { cluster: "main" });
    const source = new FakeSource({ archives: [{ members }], manifest: checkedManifest(members) });
    const parts = {
      store: this.store,
      repository,
      codecs: this.#codecs,
      baseBackups: source,
      clock: systemClock,
      progress: silentProgress,
      server: { databases: () => Promise.resolve([]) },
    } as unknown as BackupParts;
    const taken = await takePhysicalBackup(parts, {
      slot: { id: base.id, folder: repository.folder(base) },
      identity: {} as never,
      options: { method: "physical", codec: base.codec },
      ...(parent && { parent: { ...parent, timeline: 1 } }),
    });
    const sum = (field: "rawBytes" | "storedBytes") =>
      taken.objects.reduce((total, object) => total + object[field], 0);
    const manifest = {
      ...base,
      ...taken,
      startLsn: `0/${(0x2000000 + this.#links * 0x1000).toString(16).toUpperCase()}`,
      stopLsn: `0/${(0x2000800 + this.#links * 0x1000).toString(16).toUpperCase()}`,
      databases: [],
      rawBytes: sum("rawBytes"),
      storedBytes: sum("storedBytes"),
    };
    await repository.prepare();
    await repository.commit(manifest);
    return manifest;
  }

  async restore(
    backup: BackupManifest,
    options: Partial<RestoreOptions> & { readonly destination: string },
  ): Promise<RestoreReport> {
    const repository = openRepository(this.store, { cluster: "main" });
    const engine = new RestoreEngine({
      store: this.store,
      repository,
      codecs: this.#codecs,
      programs: {} as never,
      progress: silentProgress,
    });
    return await engine.restore(backup, { jobs: 2, ...options });
  }

  #members(increment: boolean): FakeMember[] {
    const label = "START WAL LOCATION: 0/2000028\n" +
      (increment ? "INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 1\n" : "") +
      "LABEL: x\n";
    const own = CORE_MEMBERS.filter(({ name }) => name !== "backup_label");
    const relations = [...this.#relations].map(([number, one]): FakeMember => {
      if (increment && one.known) {
        return { name: incrementalName(path(number)), content: increments(one) };
      }
      return { name: path(number), content: content(one.pages) };
    });
    return [
      { name: "backup_label", content: label },
      ...own,
      { name: "base/5/" },
      ...relations,
      { name: "pg_wal/000000010000000000000001", content: `log ${this.#links}` },
      // Its number stands in its first eight bytes.
      { name: "global/pg_control", content: controlFile(this.#links) },
    ];
  }
}

function path(number: number): string {
  return `base/5/${16_384 + number}`;
}

function increments({ pages, changed, limit }: Relation): Bytes {
  const numbers = [...changed].filter((block) => block < pages.length).sort((a, b) => a - b);
  const head = incrementalHeader(Uint32Array.from(numbers), Math.min(pages.length, limit));
  // Zeros that no log knows of are found by the length alone, which needs a page behind them.
  const bytes = new Uint8Array(head.length + numbers.length * PAGE_BYTES);
  bytes.set(head);
  numbers.forEach((block, index) =>
    bytes.set(page(pages[block]!), head.length + index * PAGE_BYTES)
  );
  return bytes;
}

function controlFile(link: number): Bytes {
  const bytes = new Uint8Array(512);
  new DataView(bytes.buffer).setBigUint64(0, 7345678901234567890n, true);
  bytes[8] = link;
  return bytes;
}

/** A backup_manifest with checksums, as a server writes it. */
export function checkedManifest(members: readonly FakeMember[]): string {
  const files = members.filter(({ name }) => !name.endsWith("/") && !name.startsWith("pg_wal/"));
  const lines = files.map(({ name, content = "" }) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const checksum = createHash("sha256").update(bytes).digest("hex");
    return `{ "Path": ${JSON.stringify(name)}, "Size": ${bytes.length}, "Last-Modified": ` +
      `"2026-11-22 02:00:00 GMT", "Checksum-Algorithm": "SHA256", "Checksum": "${checksum}" }`;
  });
  const text = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${
    lines.join(",\n")
  }\n],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n`;
  return `${text}"Manifest-Checksum": "${createHash("sha256").update(text).digest("hex")}"}\n`;
}
