/**
 * The objects by which runs on any host know of each other. docs/repository-format.md has the form.
 *
 * @module
 */
import * as v from "valibot";
import { RepositoryError } from "../domain/errors.ts";
import { clusterFolder } from "./layout.ts";
import { stableJson } from "./stable_json.ts";

/** What a run does that others must know of. */
export type LeaseKind = "backup" | "restore" | "prune";

/** Who holds a lease, for people. */
export interface LeaseHolder {
  /** The machine's name. */
  readonly host: string;
  /** The process there. */
  readonly pid: number;
  /** `restore of backup 20261123T022415Z-F`. */
  readonly what: string;
}

/** What a run reads or builds on. */
export interface LeaseNeeds {
  /** Of the cluster that they are of. */
  readonly systemIdentifier: string;
  /** Ids of backups, with their chains. */
  readonly backups: readonly string[];
  /** The log from this segment number on, whatever the timeline; null when none is needed. */
  readonly walFrom: number | null;
}

/** What a removal under way takes away. */
export interface LeaseRemovals {
  /** Whole backups. */
  readonly backups: readonly { readonly systemIdentifier: string; readonly id: string }[];
  /** Rows of segments. */
  readonly wal: readonly {
    readonly systemIdentifier: string;
    readonly timeline: number;
    /** Segment numbers, both included. */
    readonly first: number;
    readonly last: number;
  }[];
}

/** One record: a lease is taken, renewed and given back by a new record each, never rewritten. */
export interface LeaseRecord {
  /** Tells it from other JSON. */
  readonly format: "backupctl.lease";
  /** Of the format. */
  readonly version: number;
  /** Which kind of run it is. */
  readonly kind: LeaseKind;
  /** Tells the records of two runs apart. */
  readonly run: string;
  /** For people. */
  readonly holder: LeaseHolder;
  /** When the run took the lease, RFC 3339 UTC by its own clock. */
  readonly takenAt: string;
  /** It ends so long after the store's time of this record. */
  readonly durationMs: number;
  /** Given back: it protects nothing any more. */
  readonly released: boolean;
  /** What must stay while it is held. */
  readonly needs: LeaseNeeds | null;
  /**
   * What a removal takes away; null until it knows, and when it has come to its end. The next one
   * goes on with what stands here.
   */
  readonly removes: LeaseRemovals | null;
}

/** The highest `version` of a lease record that this program reads. */
export const LEASE_VERSION = 1;
/** The name of the one lease that excludes others of its kind. */
export const PRUNE_LEASE = "prune";

const system = v.pipe(v.string(), v.regex(/^\d{1,20}$/));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const words = v.pipe(v.string(), v.maxLength(500));

const record = v.object({
  format: v.literal("backupctl.lease"),
  version: v.literal(LEASE_VERSION),
  kind: v.picklist(["backup", "restore", "prune"]),
  run: words,
  holder: v.object({ host: words, pid: size, what: words }),
  takenAt: words,
  durationMs: size,
  released: v.boolean(),
  needs: v.nullable(v.object({
    systemIdentifier: system,
    backups: v.array(words),
    walFrom: v.nullable(size),
  })),
  removes: v.nullable(v.object({
    backups: v.array(v.object({ systemIdentifier: system, id: words })),
    wal: v.array(v.object({ systemIdentifier: system, timeline: size, first: size, last: size })),
  })),
});

/** `<cluster>/leases/`. */
export function leasesFolder(cluster: string): string {
  return `${clusterFolder(cluster)}leases/`;
}

/** `<cluster>/leases/<name>/<number>.json`: the records of a lease count up, never down. */
export function leaseKey(cluster: string, name: string, number: number): string {
  return `${leasesFolder(cluster)}${name}/${String(number).padStart(10, "0")}.json`;
}

/** Which record `key` is; undefined when it is none. */
export function parseLeaseKey(
  cluster: string,
  key: string,
): { readonly name: string; readonly number: number } | undefined {
  if (!key.startsWith(leasesFolder(cluster))) return undefined;
  const match = /^([a-z0-9-]{1,80})\/(\d{10})\.json$/.exec(key.slice(leasesFolder(cluster).length));
  return match ? { name: match[1]!, number: Number(match[2]) } : undefined;
}

/** The bytes of a record. */
export function leaseBytes(value: LeaseRecord): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(stableJson(value));
}

/** Reads a record. @throws {RepositoryError} when it is of a newer version or something else. */
export function parseLease(json: string, where: string): LeaseRecord {
  const result = v.safeParse(record, jsonOf(json));
  if (result.success) return result.output;
  throw new RepositoryError(
    `${where} is no lease that this backupctl can read`,
    "was it written by a newer version? upgrade backupctl; a damaged one may be removed once no " +
      "run is under way",
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a removal under way takes away something that is needed. */
export function takesAway(removes: LeaseRemovals, needs: LeaseNeeds): boolean {
  const { systemIdentifier, backups, walFrom } = needs;
  const own = <T extends { readonly systemIdentifier: string }>(all: readonly T[]) =>
    all.filter((one) => one.systemIdentifier === systemIdentifier);
  if (own(removes.backups).some(({ id }) => backups.includes(id))) return true;
  return walFrom !== null && own(removes.wal).some(({ last }) => last >= walFrom);
}
