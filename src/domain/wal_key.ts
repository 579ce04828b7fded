/**
 * The keys of archived WAL in a repository. docs/repository-format.md has the whole tree.
 *
 * @module
 */
import type { WalName } from "./wal.ts";
import { parseWalName } from "./wal.ts";

/** One cluster's system in a store. */
export interface WalPlace {
  readonly cluster: string;
  /** 64 bits, as decimal text. */
  readonly systemIdentifier: string;
}

/** `<cluster>/<system identifier>/wal/`. */
export function walFolder({ cluster, systemIdentifier }: WalPlace): string {
  return `${cluster}/${systemIdentifier}/wal/`;
}

/** `…/wal/00000001/`: the whole segments of one timeline, in the order of the log. */
export function timelineFolder(place: WalPlace, timeline: number): string {
  return `${walFolder(place)}${timeline.toString(16).toUpperCase().padStart(8, "0")}/`;
}

/** Whether a file of this kind is compressed; the small texts are stored as they are. */
export function isCompressedWal(
  name: WalName,
): name is Extract<WalName, { kind: "segment" | "partial" }> {
  return name.kind === "segment" || name.kind === "partial";
}

/** Where a file is stored. */
export function walKey(place: WalPlace, name: WalName): string {
  if (name.kind !== "segment") {
    return walFolder(place) + name.name + (isCompressedWal(name) ? ".zst" : "");
  }
  const log = name.name.slice(8, 16);
  return `${timelineFolder(place, name.timeline)}${log}/${name.name}.zst`;
}

/** Which file `key` is, or undefined when it is none of this place. */
export function parseWalKey(place: WalPlace, key: string): WalName | undefined {
  const name = parseWalName((key.split("/").at(-1) ?? "").replace(/\.zst$/, ""));
  return name && walKey(place, name) === key ? name : undefined;
}
