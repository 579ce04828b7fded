/** One operation under one fault: what it works on, how it is run, and what is looked at afterwards. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { cleanEnvironment, type CliResult, programWords } from "../run_cli.ts";
import { S3Server } from "../s3_server/s3_server.ts";
import type { StoredObject } from "../s3_server/stored_object.ts";
import { makeServerFolder } from "../server_user.ts";
import { removeTree } from "../remove_tree.ts";

/** Where keys begin in the bucket. */
export const PREFIX = "backupctl/";
/** In every place where a secret is configured; nothing that is written may hold them. */
export const CANARIES = ["canary-s3-secret-7f3a", "canary-pg-password-9c1d"] as const;
/** A host of another name (uts_namespaces(7)), which only root can make here. */
const OTHER_HOST: readonly string[] = Deno.uid() === 0
  ? ["unshare", "--uts", "sh", "-c", 'hostname other-host && exec "$@"', "sh"]
  : [];
/** Nobody waits longer for a run that hangs; it fails then. */
const LONGEST_MS = 180_000;

/** How a run ended. */
export interface Ended extends CliResult {
  readonly signal: Deno.Signal | null;
  readonly seconds: number;
  /** From the signal that was sent to the end; undefined when none was. */
  readonly secondsAfterSignal: number | undefined;
}

/** How a run is disturbed. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words in front of the program's own, such as `sh -c …`. */
  readonly wrapper?: readonly string[];
  /** Sends it after so many milliseconds, if it still runs. */
  readonly signal?: { readonly name: "SIGKILL" | "SIGTERM"; readonly afterMs: number };
}

/** A store of its own that begins with what the others began with, and an empty folder. */
export class Trial implements AsyncDisposable {
  readonly folder: string;
  readonly server: S3Server;
  /** What every run of this trial said. */
  readonly said: string[] = [];
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    folder: string,
    server: S3Server,
    env: Readonly<Record<string, string>>,
  ) {
    this.folder = folder;
    this.server = server;
    this.#env = env;
  }

  /** @param env says where PostgreSQL is. */
  static async begin(
    objects: ReadonlyMap<string, StoredObject>,
    { env, seed }: { readonly env: Readonly<Record<string, string>>; readonly seed: number },
  ): Promise<Trial> {
    const folder = await makeServerFolder("backupctl-faults-");
    for (const name of ["home", "home2"]) await Deno.mkdir(`${folder}/${name}`);
    const credentials = { accessKeyId: "testkey", secretAccessKey: CANARIES[0] };
    const server = S3Server.start({ credentials, seed });
    for (const [key, object] of objects) server.bucket().objects.set(key, object);
    return new Trial(folder, server, env);
  }

  /** Everything in the bucket. */
  get objects(): Map<string, StoredObject> {
    return this.server.bucket().objects;
  }

  /** So much later nobody has given a sign of life: leases run out. */
  age(milliseconds: number): void {
    for (const [key, object] of this.objects) {
      if (!key.includes("/leases/")) continue;
      const modified = new Date(object.modified.getTime() - milliseconds);
      this.objects.set(key, { ...object, modified });
    }
  }

  /** Runs backupctl on `host` 1 or 2. */
  async run(
    words: readonly string[],
    { cwd = "/", env = {}, wrapper = [], signal, host = 1 }: RunOptions & {
      readonly host?: 1 | 2;
    } = {},
  ): Promise<Ended> {
    const other = host === 2 ? OTHER_HOST : [];
    const [program, ...args] = [...other, ...wrapper, ...programWords(), ...words];
    const began = performance.now();
    const child = new Deno.Command(program!, {
      args,
      cwd,
      env: {
        ...cleanEnvironment(),
        ...{ HOME: `${this.folder}/home${host === 1 ? "" : "2"}`, S3_BUCKET: "bucket" },
        ...{ AWS_REGION: "us-east-1", AWS_ENDPOINT_URL_S3: this.server.endpoint },
        ...{ AWS_ACCESS_KEY_ID: "testkey", AWS_SECRET_ACCESS_KEY: CANARIES[0] },
        ...{ PG_PASSWORD: CANARIES[1], BACKUPCTL_METADATA_URL: "off" },
        // Runs ahead outlive the trial; they have a campaign of their own.
        BACKUPCTL_WAL_LOOK_AHEAD: "0",
        ...this.#env,
        ...env,
      },
      clearEnv: true,
      ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    }).spawn();
    let sent: number | undefined;
    const send = (name: Deno.Signal) => {
      try {
        child.kill(name);
        sent ??= performance.now();
      } catch { /* it has just ended by itself */ }
    };
    const timer = signal && setTimeout(() => send(signal.name), signal.afterMs);
    const late = setTimeout(() => send("SIGKILL"), LONGEST_MS);
    const { code, signal: by, stdout, stderr } = await child.output();
    clearTimeout(timer);
    clearTimeout(late);
    const now = performance.now();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const ended = {
      ...{ status: code, signal: by, stdout: text(stdout), stderr: text(stderr) },
      seconds: (now - began) / 1000,
      secondsAfterSignal: sent === undefined ? undefined : (now - sent) / 1000,
    };
    this.said.push(ended.stdout, ended.stderr);
    assert.ok(ended.seconds * 1000 < LONGEST_MS, `${words.join(" ")} hangs: ${ended.stderr}`);
    return ended;
  }

  /** O5: no secret in what was said, nor in any file of this trial. */
  async refuseSecrets(): Promise<void> {
    for (const canary of CANARIES) {
      assert.ok(!this.said.some((text) => text.includes(canary)), `${canary} was printed`);
      const needle = new TextEncoder().encode(canary);
      for (const [key, { bytes }] of this.objects) {
        assert.ok(!bytes || !holds(bytes, needle), `${canary} stands in ${key}`);
      }
      for (const home of ["home", "home2"]) await refuseIn(`${this.folder}/${home}`, needle);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await removeTree(this.folder);
  }
}

/** No file below holds it. */
async function refuseIn(folder: string, needle: Uint8Array): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await refuseIn(path, needle);
    if (!isFile) continue;
    const bytes = await Deno.readFile(path).catch(() => new Uint8Array());
    assert.ok(!holds(bytes, needle), `a secret stands in ${path}`);
  }
}

function holds(bytes: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.from(bytes).includes(Buffer.from(needle));
}
