import assert from "node:assert/strict";
import { ownCommand, secretVariables, serverEnvironment } from "../../../src/cli/own_command.ts";
import type { LoadedConfig } from "../../../src/config/config.ts";

const ENV = {
  PATH: "/usr/bin",
  PGPASSWORD: "canary",
  BACKUPCTL_POSTGRES_PASSWORD: "canary",
  BACKUPCTL_REPOSITORY_SECRET_ACCESS_KEY_FILE: "keys/secret",
  BACKUPCTL_REPOSITORY_PATH: "repo",
  BACKUPCTL_EMPTY: "",
  AWS_ACCESS_KEY_ID: "canary",
  AWS_SECRET_ACCESS_KEY: "canary",
  AWS_SESSION_TOKEN: "canary",
  AWS_REGION: "sa-east-1",
  S3_BUCKET: "my-bucket",
  HTTPS_PROXY: "http://proxy:3128",
};

function loaded(files: readonly string[] = []): LoadedConfig {
  return { config: { cluster: "main" }, files } as unknown as LoadedConfig;
}

/** Without the program itself: Deno and main.ts here. */
function words(files: readonly string[], env: Record<string, string>, config?: string) {
  const all = ownCommand(loaded(files), { env, config });
  return all.filter((word) => word !== Deno.execPath() && !/^(run|--quiet|--allow-all)$/.test(word))
    .filter((word) => !word.endsWith(".ts"));
}

Deno.test("ownCommand() carries what is set in the environment, and never a secret", () => {
  const found = words([], ENV);
  assert.deepEqual(found, [
    "env",
    "AWS_REGION=sa-east-1",
    `BACKUPCTL_REPOSITORY_PATH=${Deno.cwd()}/repo`,
    `BACKUPCTL_REPOSITORY_SECRET_ACCESS_KEY_FILE=${Deno.cwd()}/keys/secret`,
    "S3_BUCKET=my-bucket",
    "--cluster",
    "main",
  ]);
  assert.doesNotMatch(ownCommand(loaded(), { env: ENV, config: undefined }).join(" "), /canary/);
});

Deno.test("ownCommand() names its program and its file by absolute paths", () => {
  assert.ok(ownCommand(loaded(), { env: {}, config: undefined })[0]!.startsWith("/"));
  assert.deepEqual(words(["config/config.yaml"], {}), [
    "--config",
    `${Deno.cwd()}/config/config.yaml`,
    "--cluster",
    "main",
  ]);
  assert.equal(words(["/etc/backupctl/config.yaml"], {}, "/srv/b.yaml")[1], "/srv/b.yaml");
  assert.equal(words([], { BACKUPCTL_CONFIG: "/srv/c.yaml" })[1], "/srv/c.yaml");
});

Deno.test("secretVariables() names what the server must be given", () => {
  assert.deepEqual(secretVariables(ENV), [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BACKUPCTL_POSTGRES_PASSWORD",
  ]);
});

Deno.test("serverEnvironment() gives the server the repository's variables and no server's", () => {
  const given = serverEnvironment(ENV);
  assert.equal(given.AWS_SECRET_ACCESS_KEY, "canary");
  assert.equal(given.HTTPS_PROXY, "http://proxy:3128");
  assert.deepEqual([given.PGPASSWORD, given.PATH, given.BACKUPCTL_EMPTY], [
    ...[undefined, undefined, undefined],
  ]);
});
