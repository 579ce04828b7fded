/** The files in config/ that operators copy: each is checked by the tool that will read it. */
import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { readCommandLine } from "../../src/cli/read_command_line.ts";
import { loadConfig } from "../../src/config/config.ts";
import { CronTimes } from "../../src/service/service.ts";
import { modesBelow } from "../support/modes.ts";
import { PROJECT_ROOT } from "../support/paths.ts";

const CONFIG = `${PROJECT_ROOT}config`;
const SERVICES = ["backupctl", "backupctl-full", "backupctl-incremental", "backupctl-prune"];

interface Ran {
  readonly code: number;
  readonly text: string;
}

async function run(program: string, args: readonly string[], cwd = CONFIG): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    ...{ args: [...args], cwd, env: { LC_ALL: "C" }, stdin: "null" },
  }).output();
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return { code, text };
}

async function isHere(program: string): Promise<boolean> {
  const { code } = await run("sh", ["-c", `command -v ${program}`], "/");
  if (code !== 0) console.warn(`operators_files_test: NOT CHECKED, there is no ${program} in PATH`);
  return code === 0;
}

function read(name: string): Promise<string> {
  return Deno.readTextFile(`${CONFIG}/${name}`);
}

async function documents(name: string): Promise<readonly Record<string, unknown>[]> {
  return parseAllDocuments(await read(name), { merge: true }).map((document) => {
    assert.deepEqual(document.errors, [], name);
    return document.toJS();
  });
}

/** Throws for a command line that this version does not know. */
function assertCommand(words: readonly string[]): void {
  const reading = readCommandLine(words, { color: false });
  assert.equal(reading.type, "command", words.join(" "));
}

function words(line: string): readonly string[] {
  return line.trim().split(/\s+/);
}

Deno.test("the units run commands that exist", async () => {
  for (const name of SERVICES) {
    const line = /^ExecStart=\/usr\/local\/bin\/backupctl (.*)$/m.exec(
      await read(`systemd/${name}.service`),
    );
    assertCommand(words(line![1]!));
  }
});

Deno.test("systemd accepts the units, and calls none of them exposed", async () => {
  if (!await isHere("systemd-analyze")) return;
  const folder = await Deno.makeTempDir();
  for (const name of SERVICES) {
    // The executable is not installed where the tests run.
    const text = await read(`systemd/${name}.service`);
    const file = `${folder}/${name}.service`;
    await Deno.writeTextFile(file, text.replace("/usr/local/bin/backupctl ", "/bin/true "));
    const verified = await run("systemd-analyze", ["verify", file]);
    assert.deepEqual(
      [verified.code, verified.text.replace(/^.*\/run\/.*$\n/gm, "")],
      [0, ""],
      name,
    );
    const rated = await run("systemd-analyze", ["security", "--offline=yes", file]);
    const exposure = Number(/Overall exposure level for \S+ ([\d.]+)/.exec(rated.text)?.[1]);
    assert.ok(exposure <= 2, `${name}: ${exposure}\n${rated.text}`);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the timers name the times of the sample configuration", async () => {
  const { config } = await loadConfig({ file: `${CONFIG}/config.yaml`, env: {} });
  const timers = { full: "Sun 02:00", incremental: "*-*-* 00/6:00:00", prune: "Sun 03:00" };
  assert.deepEqual(config.schedule.map(({ name }) => name), Object.keys(timers));
  const analyze = await isHere("systemd-analyze");
  for (const [name, calendar] of Object.entries(timers)) {
    const text = await read(`systemd/backupctl-${name}.timer`);
    assert.equal(/^OnCalendar=(.*)$/m.exec(text)?.[1], calendar);
    if (!analyze) continue;
    assert.equal((await run("systemd-analyze", ["calendar", calendar])).code, 0, calendar);
  }
});

Deno.test("the crontab has the schedule of the sample, and lines that a shell reads", async () => {
  const { config } = await loadConfig({ file: `${CONFIG}/config.yaml`, env: {} });
  const lines = (await read("crontab")).split("\n").filter((line) => /^[0-9*]/.test(line));
  const found = await Promise.all(lines.map(async (line) => {
    const [, cron = "", command = ""] = /^((?:\S+\s+){4}\S+)\s+(.*)$/.exec(line)!;
    new CronTimes(words(cron).join(" "));
    assert.equal((await run("sh", ["-n", "-c", command])).code, 0, command);
    assert.ok(!command.includes("%"), "cron takes a % for the end of the line");
    const own = /; backupctl (.*?) >>/.exec(command)![1]!;
    assertCommand(words(own));
    return { cron: words(cron).join(" "), run: own };
  }));
  assert.deepEqual(found, config.schedule.map(({ cron, run }) => ({ cron, run })));
});

Deno.test("a line of the crontab reads the secrets, runs, and keeps its output to its user", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/backupctl`, '#!/bin/sh\necho "$1 $2 $SECRET"; exit 5\n');
  await Deno.chmod(`${folder}/backupctl`, 0o755);
  await Deno.writeTextFile(`${folder}/environment`, "SECRET=from-the-file\n");
  const [line] = (await read("crontab")).split("\n").filter((text) => /^[0-9*]/.test(text));
  const command = /^(?:\S+\s+){5}(.*)$/.exec(line!)![1]!;
  const env = {
    PATH: `${folder}:/usr/bin:/bin`,
    ENVIRONMENT: `${folder}/environment`,
    LOG: `${folder}/cron.log`,
  };
  const child = new Deno.Command("sh", { args: ["-c", command], env, clearEnv: true });
  assert.equal((await child.output()).code, 5);
  assert.equal(await Deno.readTextFile(`${folder}/cron.log`), "backup full from-the-file\n");
  assert.equal((await Deno.stat(`${folder}/cron.log`)).mode! & 0o777, 0o600);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("logrotate accepts its file", async () => {
  if (!await isHere("logrotate")) return;
  const file = await Deno.makeTempFile();
  const text = (await read("logrotate")).replaceAll("postgres", "nobody")
    .replace("nobody nobody\n\tweekly", "nobody nogroup\n\tweekly")
    .replace("0600 nobody nobody", "0600 nobody nogroup");
  await Deno.writeTextFile(file, text);
  await Deno.chmod(file, 0o644);
  const { code, text: said } = await run("logrotate", ["-d", "-s", "/dev/null", file]);
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /error/i);
  await Deno.remove(file);
});

interface Pod {
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly securityContext: Record<string, unknown>;
  }[];
  readonly securityContext: Record<string, unknown>;
}

function podOf(document: Record<string, unknown>): Pod | undefined {
  const spec = document["spec"] as Record<string, Record<string, Record<string, unknown>>>;
  if (document["kind"] === "Deployment") return spec["template"]!["spec"] as unknown as Pod;
  if (document["kind"] !== "CronJob") return undefined;
  const job = spec["jobTemplate"]!["spec"]! as Record<string, Record<string, unknown>>;
  return job["template"]!["spec"] as unknown as Pod;
}

Deno.test("the manifests of Kubernetes run commands that exist, without any privilege", async () => {
  const all = [
    ...await documents("kubernetes/deployment.yaml"),
    ...await documents("kubernetes/cronjob.yaml"),
  ];
  const pods = all.flatMap((document) => podOf(document) ?? []);
  assert.equal(pods.length, 4);
  for (const { containers, securityContext } of pods) {
    assert.equal(securityContext["runAsNonRoot"], true);
    for (const container of containers) {
      assertCommand(container.args);
      assert.equal(container.securityContext["allowPrivilegeEscalation"], false);
      assert.equal(container.securityContext["readOnlyRootFilesystem"], true);
      assert.deepEqual(container.securityContext["capabilities"], { drop: ["ALL"] });
    }
  }
  const { config } = await loadConfig({ file: `${CONFIG}/config.yaml`, env: {} });
  const jobs = all.filter(({ kind }) => kind === "CronJob")
    .map(({ spec }) => (spec as { readonly schedule: string }).schedule);
  assert.deepEqual(jobs, config.schedule.map(({ cron }) => cron));
});

Deno.test("the manifests of Kubernetes fit its schemas", async () => {
  if (!await isHere("kubernetes-validate")) return;
  for (const name of ["settings", "deployment", "cronjob"]) {
    const { code, text } = await run("kubernetes-validate", [`kubernetes/${name}.yaml`]);
    assert.equal(code, 0, text);
  }
});

Deno.test("the configuration in the ConfigMap is in order", async () => {
  const [map] = await documents("kubernetes/settings.yaml");
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, (map!["data"] as Record<string, string>)["config.yaml"]!);
  const { config } = await loadConfig({ file, env: {} });
  assert.equal(config.schedule.length, 3);
  for (const { run } of config.schedule) assertCommand(words(run));
  await Deno.remove(file);
});

Deno.test("the Compose file names settings and commands that exist", async () => {
  const [compose] = await documents("compose.yaml");
  const services = compose!["services"] as Record<string, Record<string, unknown>>;
  assertCommand(services["backupctl"]!["command"] as readonly string[]);
  const environment = services["backupctl"]!["environment"] as Record<string, string>;
  const env = Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(/\$\{\w+:-([^}]*)\}/g, "$1"),
    ]),
  );
  const { config } = await loadConfig({ env, defaultFiles: [] });
  assert.deepEqual(
    [config.repository.type, config.repository.bucket, config.postgres.host],
    ["s3", "backups", "postgres"],
  );
  assert.equal(config.schedule.length, 3);
  for (const { run } of config.schedule) assertCommand(words(run));
  const command = services["postgres"]!["command"] as readonly string[];
  const archive = command.find((word) => word.startsWith("archive_command="))!;
  assert.equal(archive, "archive_command=backupctl wal-push %p");
});

Deno.test("the Compose file is of Compose's own form, and mounts files that are there", async () => {
  const [compose] = await documents("compose.yaml");
  const services = Object.values(compose!["services"] as Record<string, { volumes: string[] }>);
  const mounts = services.flatMap(({ volumes }) => volumes).filter((one) => one.startsWith("."));
  assert.equal(mounts.length, 1);
  for (const mount of mounts) assert.ok((await read(mount.split(":")[0]!)).length > 0, mount);
  if (!await isHere("check-jsonschema")) return;
  const schema = ["--builtin-schema", "vendor.compose-spec", "compose.yaml"];
  const { code, text } = await run("check-jsonschema", schema);
  assert.equal(code, 0, text);
});

Deno.test("the Compose file's PostgreSQL lets backups in over the replication protocol", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/pg_hba.conf`, "host all all all scram-sha-256\n");
  const script = `PGDATA=${folder}; . ${CONFIG}/compose-replication.sh`;
  const { code, text } = await run("sh", ["-euc", script], "/");
  assert.equal(code, 0, text);
  const lines = (await Deno.readTextFile(`${folder}/pg_hba.conf`)).trim().split("\n");
  assert.equal(lines.at(-1), "host replication all all scram-sha-256");
  await Deno.remove(folder, { recursive: true });
});

async function deploy(root: string, ...args: readonly string[]): Promise<Ran> {
  return await run("sh", [`${CONFIG}/deploy.sh`, "--root", root, ...args], "/");
}

async function withRoot(use: (root: string, executable: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const executable = `${folder}/backupctl`;
  await Deno.writeTextFile(executable, "#!/bin/sh\necho 1\n");
  try {
    await use(`${folder}/root`, executable);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("deploy.sh installs, and a second time changes nothing", async () => {
  await withRoot(async (root, executable) => {
    for (const mode of ["--daemon", "--timers", "--cron"]) {
      const first = await deploy(root, mode, executable);
      assert.equal(first.code, 0, first.text);
      const tree = await modesBelow(root);
      const second = await deploy(root, mode, executable);
      assert.equal(second.code, 0, second.text);
      assert.doesNotMatch(second.text, /^(installed|updated|made) /m);
      assert.deepEqual(await modesBelow(root), tree);
    }
    const modes = new Map((await modesBelow(root)).map(({ path, mode }) => [path, mode]));
    assert.equal(modes.get("etc/backupctl"), "750");
    for (const path of ["var/lib/backupctl", "var/log/backupctl"]) {
      assert.equal(modes.get(path), "700");
    }
    for (const name of ["config.yaml", "environment"]) {
      assert.equal(modes.get(`etc/backupctl/${name}`), "600");
    }
    assert.equal(modes.get("usr/local/bin/backupctl"), "755");
    assert.ok(modes.has("etc/systemd/system/backupctl.service"));
    assert.ok(modes.has("etc/systemd/system/backupctl-prune.timer"));
    assert.ok(modes.has("etc/cron.d/backupctl"));
  });
});

Deno.test("deploy.sh keeps what an operator wrote, and makes its modes right again", async () => {
  await withRoot(async (root, executable) => {
    await deploy(root, executable);
    const config = `${root}/etc/backupctl/config.yaml`;
    await Deno.writeTextFile(config, "cluster: mine\n");
    await Deno.chmod(config, 0o644);
    await Deno.writeTextFile(executable, "#!/bin/sh\necho 2\n");
    const { code, text } = await deploy(root, executable);
    assert.equal(code, 0);
    assert.match(text, /^updated +\/usr\/local\/bin\/backupctl$/m);
    assert.match(text, /^kept +\/etc\/backupctl\/config\.yaml$/m);
    assert.equal(await Deno.readTextFile(config), "cluster: mine\n");
    assert.equal((await Deno.stat(config)).mode! & 0o777, 0o600);
    assert.match(await Deno.readTextFile(`${root}/usr/local/bin/backupctl`), /echo 2/);
    const names = (await modesBelow(root)).map(({ path }) => path);
    assert.deepEqual(names.filter((path) => path.endsWith(".new")), []);
  });
});

Deno.test("deploy.sh lets the units and cron run as the user that is named", async () => {
  await withRoot(async (root, executable) => {
    for (const mode of ["--daemon", "--timers", "--cron"]) {
      assert.equal((await deploy(root, mode, "--user", "dba", executable)).code, 0);
    }
    for (const name of SERVICES) {
      const text = await Deno.readTextFile(`${root}/etc/systemd/system/${name}.service`);
      assert.match(text, /^User=dba\nGroup=dba$/m);
    }
    const cron = await Deno.readTextFile(`${root}/etc/cron.d/backupctl`);
    const lines = cron.split("\n").filter((line) => /^[0-9*]/.test(line));
    assert.equal(lines.length, 3);
    for (const line of lines) assert.match(line, /^(\S+ +){5}dba umask 077; /);
    assert.match(await Deno.readTextFile(`${root}/etc/logrotate.d/backupctl`), /su dba dba/);
  });
});

Deno.test("deploy.sh says when backups would be taken twice", async () => {
  await withRoot(async (root, executable) => {
    await deploy(root, executable);
    const { text } = await deploy(root, "--timers", executable);
    assert.match(text, /^note: +backupctl\.service is here as well/m);
  });
});

Deno.test("deploy.sh refuses what it cannot do, before it does anything", async () => {
  await withRoot(async (root, executable) => {
    const cases = [
      { args: [], code: 2 },
      { args: ["--nonsense", executable], code: 2 },
      { args: [executable, executable], code: 2 },
      { args: [`${executable}-absent`], code: 1 },
      { args: ["--user", "-x", executable], code: 1 },
      { args: ["--user", "a b", executable], code: 1 },
    ];
    for (const { args, code } of cases) {
      const result = await deploy(root, ...args);
      assert.equal(result.code, code, `${args.join(" ")}: ${result.text}`);
    }
    const relative = await run("sh", [`${CONFIG}/deploy.sh`, "--root", "x", executable], "/");
    assert.equal(relative.code, 1);
    assert.equal(await Deno.stat(root).catch(() => undefined), undefined);
  });
});

Deno.test("the shell scripts please shellcheck", async () => {
  if (!await isHere("shellcheck")) return;
  const { code, text } = await run("shellcheck", ["deploy.sh", "healthcheck.sh"]);
  assert.equal(code, 0, text);
});
