import assert from "node:assert/strict";
import { readWalSettings } from "../../../src/cli/wal/read_wal_settings.ts";
import { whileWaiting } from "../../support/while_waiting.ts";

const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const PLACE = "repository: {type: directory, path: /srv/backups}\n";
const WHOLE = `${PLACE}encryption: {recipients: [${RECIPIENT}]}\n`;

async function withConfig(
  run: (rig: {
    readonly file: string;
    readonly read: () => ReturnType<typeof readWalSettings>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/config.yaml`;
    await Deno.writeTextFile(file, WHOLE, { mode: 0o600 });
    const input = { env: { STATE_DIRECTORY: `${folder}/state` }, file, cluster: undefined };
    await run({ file, read: () => readWalSettings(input) });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Lets `act` run in front of the first reading of `file` for good. */
async function beforeLoading<T>(
  file: string,
  { act, run }: { readonly act: () => void; readonly run: () => Promise<T> },
): Promise<T> {
  const { readTextFile } = Deno;
  let pending = true;
  const patched = (path: string | URL, options?: Deno.ReadFileOptions) => {
    if (pending && path === file) {
      pending = false;
      act();
    }
    return readTextFile(path, options);
  };
  try {
    Object.assign(Deno, { readTextFile: patched });
    return await run();
  } finally {
    Object.assign(Deno, { readTextFile });
  }
}

Deno.test("readWalSettings() keeps nothing of a file that changes while it is read", async () => {
  await withConfig(async ({ file, read }) => {
    const act = () => Deno.writeTextFileSync(file, PLACE);
    await beforeLoading(file, { act, run: read });
    await Deno.writeTextFile(file, WHOLE);
    assert.deepEqual((await read()).encryption?.recipients, [RECIPIENT]);
  });
});

Deno.test("readWalSettings() does not take a file that is being written for a whole one", async () => {
  await withConfig(async ({ file, read }) => {
    await Deno.writeTextFile(file, PLACE);
    const { value } = await whileWaiting(() => Deno.writeTextFileSync(file, WHOLE), read);
    assert.deepEqual(value?.encryption?.recipients, [RECIPIENT]);
  });
});

Deno.test("readWalSettings() takes kept settings until the file changes", async () => {
  await withConfig(async ({ file, read }) => {
    const first = await read();
    let loads = 0;
    const again = await beforeLoading(file, { act: () => loads++, run: read });
    assert.equal(loads, 0);
    assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(JSON.stringify(first)));
    await Deno.writeTextFile(file, PLACE);
    assert.equal((await read()).encryption, undefined);
  });
});

/** AWS's own variables, which the SDK reads in PostgreSQL's data directory. */
for (
  const name of ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE"]
) {
  Deno.test(`readWalSettings() refuses a relative ${name}, if it counts`, async () => {
    const read = (env: Record<string, string>) =>
      readWalSettings({ env: { [name]: "aws/file", ...env }, file: undefined, cluster: undefined });
    const bucket = { S3_BUCKET: "backups" };
    const expected = new RegExp(`variable ${name}: "aws/file" is a relative path.*absolute$`);
    await assert.rejects(read(bucket), expected);
    const keys = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    const others = [{ ...bucket, [name]: "/aws/file" }, { ...bucket, ...keys }, {
      BACKUPCTL_REPOSITORY_PATH: "/srv/backups",
    }];
    for (const env of others) await read(env);
  });
}
