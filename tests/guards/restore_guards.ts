import type { Guard } from "./guard.ts";

const HOSTILE = "tests/unit/engine/physical/hostile_chunks_test.ts";
const FAULTS = "tests/unit/engine/physical/restore_faults_test.ts";

/** Of restores: the right bytes, in the right place, or none that a server would start from. */
export const RESTORE_GUARDS: readonly Guard[] = [
  {
    name: "a restored name with .. is refused",
    file: "src/engine/physical/member_path.ts",
    text: 'segment === "" || segment === "." || segment === ".."',
    replacement: 'segment === "" || segment === "."',
    test: "tests/unit/engine/physical/member_path_test.ts",
  },
  {
    name: "a symbolic link in a backup is refused",
    file: "src/engine/physical/chunk_unpacker.ts",
    text: 'if (member.type === "symlink") {',
    replacement: 'if (member.name === "") {',
    test: HOSTILE,
  },
  {
    name: "a restored file is new, and no link's target",
    file: "src/engine/physical/chunk_unpacker.ts",
    text: 'return fs.openSync(path, "wx", FILE_MODE);',
    replacement: 'return fs.openSync(path, "w", FILE_MODE);',
    test: HOSTILE,
  },
  {
    name: "no folder is entered through a link",
    file: "src/engine/physical/chunk_unpacker.ts",
    text: "attempt(path, () => fs.lstatSync(path)).isDirectory()",
    replacement: "attempt(path, () => fs.statSync(path)).isDirectory()",
    test: "tests/unit/engine/physical/chunk_unpacker_test.ts",
  },
  {
    name: "an object holds no more raw bytes than its manifest says",
    file: "src/codec/stored_form_check.ts",
    text: "if (rawBytes === undefined || this.#rawBytes <= rawBytes) return;",
    replacement: "if (this.#rawBytes >= 0) return;",
    test: "tests/unit/engine/physical/hostile_campaign_test.ts",
  },
  {
    name: "every object is compared with its SHA-256",
    file: "src/codec/stored_form_check.ts",
    text: "    if (found === expected) return;\n",
    replacement: "    if (found) return;\n",
    test: FAULTS,
  },
  {
    name: "every object is there before the first byte is written",
    file: "src/engine/physical/restore_physical.ts",
    text: "  await checkObjects(parts, steps, run.options);\n",
    replacement: "",
    test: FAULTS,
  },
  {
    name: "a backup without backup_label is refused",
    file: "src/engine/physical/restore_physical.ts",
    text: "  checkRequired(backup, new Set([...required, ...kept?.final ?? []]));\n",
    replacement: "",
    test: HOSTILE,
    filter: "backup_label",
  },
  {
    name: "global/pg_control appears last",
    file: "src/engine/physical/chunk_unpacker.ts",
    text: "member.name === CONTROL_FILE ? PENDING_CONTROL_FILE : member.name",
    replacement: "member.name",
    test: FAULTS,
  },
  {
    name: "everything restored is synced before global/pg_control appears",
    file: "src/engine/physical/destination_folders.ts",
    text: "    await syncFolders(this.roots);\n",
    replacement: "",
    test: "tests/unit/engine/durability_test.ts",
  },
  {
    name: "a moment before the first backup is refused",
    file: "src/engine/recovery/choose_backup.ts",
    text: "const early = candidates.filter((candidate) => endedBefore(candidate.backup, request));",
    replacement: "const early = candidates;",
    test: "tests/unit/engine/recovery/choose_backup_test.ts",
  },
];
