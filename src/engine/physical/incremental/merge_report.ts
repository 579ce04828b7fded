/**
 * What stands beside the files when several backups became one data directory: a label that lets
 * the server start, and a list that pg_verifybackup agrees with.
 *
 * @module
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Bytes } from "../../../domain/bytes.ts";
import { cannotWrite } from "../../destination/cannot_write.ts";
import { fileChecksum } from "../file_checksum.ts";
import { hashFiles } from "../hash_files.ts";
import type { HashedFile } from "../hash_messages.ts";
import { listedFile, ManifestLines } from "../manifest_lines.ts";
import { memberPath, type RestoreFolders } from "../member_path.ts";
import { patchedName } from "./incremental_name.ts";

/** The server refuses to start while its label has one of these. */
const INCREMENTAL_LINE = /^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm;
const LABEL = "backup_label";

/** What replaces the lines of files that are no longer as they were stored. */
export type ChangedFiles = ReadonlyMap<string, HashedFile>;

/**
 * Makes an increment's backup_label one of a full backup, as pg_combinebackup does. PostgreSQL
 * source, src/bin/pg_combinebackup/backup_label.c.
 *
 * @throws {DestinationError}
 */
export function makeLabelFull({ destination }: RestoreFolders): HashedFile {
  const path = `${destination}/${LABEL}`;
  try {
    const label = fs.readFileSync(path, "utf8").replace(INCREMENTAL_LINE, "");
    fs.writeFileSync(path, label);
    const bytes = new TextEncoder().encode(label);
    const checksum = fileChecksum("SHA256");
    checksum.update(bytes);
    return { bytes: bytes.length, checksum: checksum.digest() };
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

/** The checksums of the merged files and of the label, as the new manifest has them. */
export async function changedFiles(
  folders: RestoreFolders,
  { merged, ...options }: {
    readonly merged: ReadonlySet<string>;
    readonly jobs: number;
    readonly onProgress: (bytes: number) => void;
    readonly signal?: AbortSignal;
  },
): Promise<ChangedFiles> {
  const changed = new Map([[LABEL, makeLabelFull(folders)]]);
  const names = [...merged];
  const files = names.map((name) => {
    const path = memberPath(name, folders);
    const { size = 0 } = fs.lstatSync(path, { throwIfNoEntry: false }) ?? {};
    return { path, algorithm: "SHA256", bytes: size } as const;
  });
  const hashed = await hashFiles(files, options);
  for (const [index, name] of names.entries()) {
    const file = hashed[index];
    if (!file) throw cannotWrite(files[index]!.path, "it has vanished");
    changed.set(name, file);
  }
  return changed;
}

/** The newest backup's manifest with the lines of `changed` made anew. */
export async function* mergedManifest(
  manifest: AsyncIterable<Bytes>,
  changed: ChangedFiles,
): AsyncGenerator<Bytes> {
  const encoder = new TextEncoder();
  const hash = createHash("sha256");
  const lines = new ManifestLines();
  const pass = (some: readonly string[]) => {
    const text = some.filter((line) => !line.startsWith('"Manifest-Checksum"'))
      .map((line) => changedLine(line, changed)).join("");
    const bytes = encoder.encode(text);
    hash.update(bytes);
    return bytes;
  };
  for await (const bytes of manifest) yield pass(lines.push(bytes));
  yield pass([lines.end()]);
  yield encoder.encode(`"Manifest-Checksum": "${hash.digest("hex")}"}\n`);
}

function changedLine(line: string, changed: ChangedFiles): string {
  const path = listedFile(line)?.path;
  if (path === undefined) return line;
  const target = changed.has(path) ? path : patchedName(path);
  const file = target === undefined ? undefined : changed.get(target);
  if (!file) return line;
  const time = /"Last-Modified": "([^"]*)"/.exec(line)?.[1] ?? "1970-01-01 00:00:00 GMT";
  return `{ "Path": ${
    JSON.stringify(target)
  }, "Size": ${file.bytes}, "Last-Modified": "${time}", ` +
    `"Checksum-Algorithm": "SHA256", "Checksum": "${file.checksum}" }` +
    `${/,\s*$/.test(line) ? "," : ""}\n`;
}
