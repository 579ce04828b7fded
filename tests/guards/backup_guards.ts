import type { Guard } from "./guard.ts";

const REPOSITORY = "tests/unit/catalog/repository_test.ts";

/** Of backups as they are taken. */
export const BACKUP_GUARDS: readonly Guard[] = [
  {
    name: "every object is looked at before the manifest is put",
    file: "src/catalog/repository.ts",
    text: "      if (found?.size === object.storedBytes) return;\n",
    replacement: "      if (object.storedBytes >= 0) return;\n",
    test: REPOSITORY,
  },
  {
    name: "a manifest is never overwritten",
    file: "src/catalog/repository.ts",
    text: "return await this.#store.put(key, bytes, { ifAbsent: true });",
    replacement: "return await this.#store.put(key, bytes);",
    test: REPOSITORY,
  },
  {
    name: "nothing is committed that nobody can read",
    file: "src/catalog/repository.ts",
    text: "    parseManifest(text, { where: key, expected }); // nothing",
    replacement: "    void expected; // nothing",
    test: REPOSITORY,
  },
  {
    name: "a physical backup is committed once its WAL has arrived",
    file: "src/engine/backup_engine.ts",
    text:
      '      if (options.method === "physical") await waitForBackupWal(this.#parts, manifest, options);\n',
    replacement: "",
    test: "tests/unit/engine/wait_for_backup_wal_test.ts",
  },
  {
    name: "pg_dump's exit status counts",
    file: "src/postgres/program_process.ts",
    text: "if (status.success) return { stderr: this.#stderr };",
    replacement: "if (status.code >= 0) return { stderr: this.#stderr };",
    test: "tests/unit/postgres/program_process_test.ts",
  },
  {
    name: "an archive's table of contents is whole",
    file: "src/engine/logical/archive_check.ts",
    text: "    if (!blocks) throw new IntegrityError(this.#whatIsMissing());\n    blocks.end();\n",
    replacement: "    if (!blocks) throw new IntegrityError(this.#whatIsMissing());\n",
    test: "tests/e2e/logical_archive_test.ts",
  },
  {
    name: "a torn page is read again before it is called damaged",
    file: "src/postgres/files/page_verifier.ts",
    text: "      if (changed || isSound(again, block)) return undefined;\n",
    replacement: "",
    test: "tests/unit/postgres/files/page_verifier_test.ts",
  },
  {
    name: "a mistyped recipient is refused",
    file: "src/domain/age_recipient.ts",
    text: "return values.concat(letters).reduce(step, 1) === 1;",
    replacement: "return values.concat(letters).reduce(step, 1) !== 0;",
    test: "tests/unit/config/load_config_test.ts",
  },
  {
    name: "a sealed object ends with its last frame",
    file: "src/crypto/frames.ts",
    text: "    if (this.#ended) return;\n",
    replacement: "    if (this.#index >= 0) return;\n",
    test: "tests/unit/crypto/sealed_object_test.ts",
  },
  {
    name: "a frame whose tag is wrong is refused",
    file: "src/crypto/frames.ts",
    text: "  } catch (cause) {\n    throw new IntegrityError(\n      `sealed frame",
    replacement:
      "  } catch (cause) {\n    if (cause) return sealed.slice(0, -FRAME_TAG_BYTES);\n    throw new IntegrityError(\n      `sealed frame",
    test: "tests/unit/crypto/sealed_object_test.ts",
  },
];
