import assert from "node:assert/strict";
import {
  codeSettings,
  describeCodeSettings,
} from "../../../../src/engine/recovery/code_settings.ts";

async function found(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-settings-" });
  try {
    await Deno.mkdir(`${folder}/conf.d`);
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    const settings = await codeSettings(folder);
    return settings.map(({ name, file, line }) => `${name} ${file}:${line}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("codeSettings() finds what runs programs or loads libraries, however it is written", async () => {
  const text = [
    "#archive_command = 'commented out'",
    "archive_command = 'rm -rf /'",
    "  ARCHIVE_CLEANUP_COMMAND='x' # why",
    "restore_command 'cp'",
    "shared_preload_libraries = evil",
    "include_dir = 'conf.d'",
    "archive_library = ''",
    "jit_provider = 'llvmjit'",
    "dynamic_library_path = '$libdir'",
    "ssl_passphrase_command = 'echo \\'secret\\''",
    "shared_buffers = '128MB'",
    "log_line_prefix = 'archive_command = x'",
  ].join("\n");
  assert.deepEqual(await found({ "postgresql.conf": text }), [
    "archive_command postgresql.conf:2",
    "archive_cleanup_command postgresql.conf:3",
    "restore_command postgresql.conf:4",
    "shared_preload_libraries postgresql.conf:5",
    "include_dir postgresql.conf:6",
    "ssl_passphrase_command postgresql.conf:10",
  ]);
  const other = {
    "postgresql.auto.conf": "recovery_end_command = 'x'\n",
    "conf.d/a.conf": "include x\n",
  };
  assert.deepEqual(await found(other), [
    "recovery_end_command postgresql.auto.conf:1",
    "include conf.d/a.conf:1",
  ]);
  assert.deepEqual(await found({}), []);
});

Deno.test("describeCodeSettings() names places and no values", async () => {
  assert.equal(describeCodeSettings([]), undefined);
  const folder = await Deno.makeTempDir({ prefix: "backupctl-settings-" });
  try {
    await Deno.writeTextFile(
      `${folder}/postgresql.conf`,
      "archive_command = 'x --password canary'\n",
    );
    const text = describeCodeSettings(await codeSettings(folder))!;
    assert.match(text, /archive_command \(postgresql\.conf:1\)/);
    assert.ok(!text.includes("canary"));
    await Deno.remove(`${folder}/postgresql.conf`);
    await Deno.symlink("/dev/zero", `${folder}/postgresql.conf`);
    assert.deepEqual(await codeSettings(folder), [], "no link is followed");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
