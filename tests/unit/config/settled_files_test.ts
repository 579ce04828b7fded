/** A configuration that is being written is not taken for a whole one. */
import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/config.ts";
import { whileWaiting } from "../../support/while_waiting.ts";

const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const HALF = "repository: {type: directory, path: /srv/backups}\n";
const WHOLE = `${HALF}encryption: {recipients: [${RECIPIENT}]}\n`;
const HOUR = 3_600_000;

async function withFile(run: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/config.yaml`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function write(file: string, text: string, { ageMs = 0 } = {}): void {
  Deno.writeTextFileSync(file, text);
  const at = new Date(Date.now() - ageMs);
  Deno.utimeSync(file, at, at);
}

const load = (file: string) => () => loadConfig({ file, env: {}, settled: true });

Deno.test("loadConfig() waits for nobody when the file has rested", () =>
  withFile(async (file) => {
    write(file, HALF, { ageMs: 2_000 });
    const { waits, value } = await whileWaiting(() => {}, load(file));
    assert.equal(waits, 0);
    assert.equal(value?.config.encryption, undefined);
  }));

Deno.test("loadConfig() reads a file that is being written when it is whole", () =>
  withFile(async (file) => {
    write(file, HALF);
    const act = (wait: number) => wait === 2 ? write(file, WHOLE) : wait === 1 && write(file, "{");
    const { value } = await whileWaiting(act, load(file));
    assert.deepEqual(value?.config.encryption?.recipients, [RECIPIENT]);
  }));

Deno.test("loadConfig() reads again what changes while it is read", () =>
  withFile(async (file) => {
    write(file, HALF, { ageMs: HOUR });
    const { readTextFile } = Deno;
    let reads = 0;
    Object.assign(Deno, {
      readTextFile: async (path: string) => {
        const text = await readTextFile(path);
        if (++reads === 1) write(file, WHOLE, { ageMs: HOUR });
        return text;
      },
    });
    try {
      const { config } = await load(file)();
      assert.deepEqual([reads, config.encryption?.recipients], [2, [RECIPIENT]]);
    } finally {
      Object.assign(Deno, { readTextFile });
    }
  }));

Deno.test("loadConfig() takes a file that never rests as it is, and tells what is wrong", () =>
  withFile(async (file) => {
    write(file, "no: 0\n");
    const act = (wait: number) => write(file, `no: ${wait}\n`);
    const { error, waits } = await whileWaiting(act, load(file));
    assert.match(`${error}`, /unknown key/);
    assert.ok(waits >= 2 && waits <= 25, `${waits} waits`);
  }));

Deno.test("loadConfig() waits once where every file is called young", () =>
  withFile(async (file) => {
    write(file, WHOLE);
    const { waits } = await whileWaiting(() => write(file, WHOLE), load(file));
    assert.equal(waits, 1);
  }));

Deno.test("loadConfig() waits for a file that a variable names, too", () =>
  withFile(async (file) => {
    write(file, "");
    const env = { BACKUPCTL_ENCRYPTION_RECIPIENTS_FILE: file };
    const { value } = await whileWaiting(
      () => write(file, RECIPIENT, { ageMs: HOUR }),
      () => loadConfig({ defaultFiles: [], env, settled: true }),
    );
    assert.deepEqual(value?.config.encryption?.recipients, [RECIPIENT]);
  }));

Deno.test("loadConfig() takes what a pipe gives, which can be read only once", () =>
  withFile(async (file) => {
    const made = await new Deno.Command("mkfifo", { args: [file] }).output();
    assert.ok(made.success);
    const args = ["-c", 'printf "cluster: piped\\n" > "$0"; sleep 1; : > "$0"', file];
    const writer = new Deno.Command("sh", { args }).spawn();
    const { config } = await load(file)();
    assert.equal(config.cluster, "piped");
    writer.kill();
    await writer.status;
  }));
