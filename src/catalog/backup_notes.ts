import * as v from "valibot";
import { type Clock, systemClock } from "../domain/clock.ts";
import type { ObjectOpener, ObjectSealer } from "../crypto/crypto.ts";
import {
  KeyError,
  ObjectExistsError,
  ObjectMissingError,
  RepositoryError,
} from "../domain/errors.ts";
import { mapLimited } from "../domain/map_limited.ts";
import { isBackupId } from "../domain/backup_id.ts";
import type { ObjectStore, ReadOptions } from "../storage/storage.ts";
import { clusterFolder, type ManifestPlace } from "./layout.ts";
import { readTextObject } from "./read_object.ts";
import { stableJson } from "./stable_json.ts";

/** What people said of a backup after it was taken, the later word counting. */
export interface BackupNotes {
  /** Kept until then, or for ever; undefined when it is not. */
  readonly pin: { readonly until: Date | null } | undefined;
  /** Beside those of its manifest, which they replace. Null takes one of the manifest's away. */
  readonly annotations: Readonly<Record<string, string | null>>;
}

/** What to say of a backup. */
export interface NoteChange {
  /** Keep it until then, or for ever; false gives it free. */
  readonly keep?: { readonly until: Date | null } | false;
  /** Values to set; null removes one. */
  readonly annotations?: Readonly<Record<string, string | null>>;
}

/** Who says it. */
export interface NoteOptions {
  readonly cluster: string;
  /** For people. */
  readonly host: string;
  /** What time it is. @default {systemClock} */
  readonly clock?: Clock;
  /** Encrypts annotations; pins stay readable, since pruning has no key. */
  readonly sealer?: ObjectSealer;
  /** Opens them; without it, encrypted annotations are left out. */
  readonly opener?: ObjectOpener;
}

/** The highest `version` of a note that this program reads. */
export const NOTE_VERSION = 1;

const note = v.object({
  format: v.literal("backupctl.note"),
  version: v.literal(NOTE_VERSION),
  backupId: v.string(),
  at: v.string(),
  host: v.string(),
  keep: v.optional(v.union([
    v.literal(false),
    v.object({
      until: v.nullable(
        v.pipe(v.string(), v.check((text) => !Number.isNaN(Date.parse(text)), "is no time")),
      ),
    }),
  ])),
  annotations: v.optional(v.record(v.string(), v.nullable(v.string())), {}),
  /** The annotations, encrypted, in base64. */
  sealed: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]+={0,2}$/))),
});

const privateNote = v.record(v.string(), v.nullable(v.string()));

const LIMIT_BYTES = 64 * 1024;
const AT_A_TIME = 8;
const NOTHING: BackupNotes = { pin: undefined, annotations: {} };

/** `<cluster>/<system identifier>/notes/`. */
export function notesFolder(cluster: string, systemIdentifier: string): string {
  return `${clusterFolder(cluster)}${systemIdentifier}/notes/`;
}

/** Notes on backups: write-once objects beside them, since nothing committed is ever changed. */
export class NoteBook {
  readonly #store: ObjectStore;
  readonly #options: NoteOptions;
  readonly #clock: Clock;

  /** Asks nobody yet. */
  constructor(store: ObjectStore, options: NoteOptions) {
    this.#store = store;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** `…/notes/<id>/`: the notes on one backup, by time. */
  folder({ systemIdentifier, id }: ManifestPlace): string {
    return `${notesFolder(this.#options.cluster, systemIdentifier)}${id}/`;
  }

  /** Adds a note. */
  async add(place: ManifestPlace, change: NoteChange, reading: ReadOptions = {}): Promise<void> {
    const keys = await this.#keys(this.folder(place), reading);
    const at = this.#after(keys.at(-1));
    const random = crypto.randomUUID().slice(0, 8);
    const key = `${this.folder(place)}${at.replace(/[-:]/g, "")}-${random}.json`;
    const keep = change.keep && { until: change.keep.until?.toISOString() ?? null };
    const text = stableJson({
      format: "backupctl.note",
      version: NOTE_VERSION,
      backupId: place.id,
      at,
      host: this.#options.host,
      ...(change.keep !== undefined && { keep }),
      ...await this.#annotationsOf(change, key),
    });
    try {
      await this.#store.put(key, new TextEncoder().encode(text), { ifAbsent: true, ...reading });
    } catch (error) {
      if (!(error instanceof ObjectExistsError)) throw error; // a reply was lost; it is ours
    }
  }

  /**
   * What is noted of one backup.
   *
   * @throws {RepositoryError} when a note cannot be read: it might be the one that keeps it.
   */
  async of(place: ManifestPlace, reading: ReadOptions = {}): Promise<BackupNotes> {
    return await this.#read(await this.#keys(this.folder(place), reading), reading);
  }

  /** The same of every backup of a system that has notes, by id. */
  async ofSystem(
    systemIdentifier: string,
    reading: ReadOptions = {},
  ): Promise<ReadonlyMap<string, BackupNotes>> {
    const folder = notesFolder(this.#options.cluster, systemIdentifier);
    const keys = await this.#keys(folder, reading);
    const byBackup = Map.groupBy(keys, (key) => key.slice(folder.length).split("/")[0]!);
    const notes = new Map<string, BackupNotes>();
    for (const [id, own] of byBackup) {
      if (isBackupId(id)) notes.set(id, await this.#read(own, reading));
    }
    return notes;
  }

  /** Removes every note on a backup that is gone. */
  async remove(place: ManifestPlace, reading: ReadOptions = {}): Promise<void> {
    const keys = await this.#keys(this.folder(place), reading);
    if (keys.length > 0) await this.#store.delete(keys, reading);
  }

  async #annotationsOf({ annotations }: NoteChange, key: string): Promise<object> {
    const { sealer } = this.#options;
    if (!annotations || !sealer) return annotations ? { annotations } : {};
    const sealed = await sealer.seal(key, new TextEncoder().encode(stableJson(annotations)));
    return { sealed: Buffer.from(sealed).toString("base64") };
  }

  /** Nothing when they cannot be opened here. @throws {IntegrityError} when they were changed. */
  async #opened(sealed: string, key: string): Promise<BackupNotes["annotations"]> {
    const { opener } = this.#options;
    if (!opener) return {};
    try {
      const plain = await opener.open(key, new Uint8Array(Buffer.from(sealed, "base64")));
      return v.parse(privateNote, jsonOf(new TextDecoder().decode(plain)));
    } catch (error) {
      if (error instanceof KeyError) return {};
      throw error;
    }
  }

  async #keys(prefix: string, reading: ReadOptions): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#store.list(prefix, reading)) keys.push(key);
    return keys;
  }

  /** Later than the last note, whatever the clock of its host said. */
  #after(last: string | undefined): string {
    const match = /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z-/.exec(last ?? "");
    const now = this.#clock.now().getTime();
    const [, year, month, day, hour, minute, second] = match ?? [];
    const before = match ? Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) : 0;
    return new Date(Math.max(now, before + 1)).toISOString();
  }

  async #read(keys: readonly string[], reading: ReadOptions): Promise<BackupNotes> {
    const all = await mapLimited(keys, AT_A_TIME, (key) => this.#note(key, reading));
    let { pin, annotations } = NOTHING;
    for (const found of all) {
      if (!found) continue;
      annotations = { ...annotations, ...found.annotations };
      if (found.keep === undefined) continue;
      const until = found.keep && found.keep.until;
      pin = found.keep ? { until: until ? new Date(until) : null } : undefined;
    }
    return { pin, annotations };
  }

  async #note(key: string, reading: ReadOptions): Promise<v.InferOutput<typeof note> | undefined> {
    let text: string;
    try {
      text = await readTextObject(this.#store, key, { ...reading, limit: LIMIT_BYTES });
    } catch (error) {
      if (error instanceof ObjectMissingError) return undefined; // removed since it was listed
      throw error;
    }
    const result = v.safeParse(note, jsonOf(text));
    if (result.success) {
      const { sealed, ...found } = result.output;
      if (sealed === undefined) return found;
      return { ...found, annotations: await this.#opened(sealed, key) };
    }
    throw new RepositoryError(
      `${this.#store.location}/${key} is no note that this backupctl can read`,
      "was it written by a newer version? upgrade backupctl; a damaged one may be removed",
    );
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
