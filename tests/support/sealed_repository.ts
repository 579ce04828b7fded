/** Looking into an encrypted repository: what of it is readable, and its documented script. */
import { SEALED_MAGIC } from "../../src/domain/sealed_form.ts";
import { PROJECT_ROOT } from "./paths.ts";
import { removeTree } from "./remove_tree.ts";

/** An object of a repository in a folder. */
export interface StoredFile {
  readonly key: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Every object, in the order of its keys. */
export async function storedFiles(folder: string): Promise<readonly StoredFile[]> {
  const found: StoredFile[] = [];
  const walk = async (prefix: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(`${folder}/${prefix}`)) {
      // The folder store's own sidecars of metadata are looked at, too.
      if (isDirectory) await walk(`${prefix}${name}/`);
      else {
        const bytes = await Deno.readFile(`${folder}/${prefix}${name}`);
        found.push({ key: prefix + name, bytes });
      }
    }
  };
  await walk("");
  return found.sort((a, b) => a.key < b.key ? -1 : 1);
}

/** Whether it begins as encrypted objects do. */
export function looksSealed({ bytes }: StoredFile): boolean {
  return SEALED_MAGIC.every((byte, at) => bytes[at] === byte);
}

/** Where a text occurs: as it is stored, or once the standard programs have opened it. */
export async function findText(
  files: readonly StoredFile[],
  text: string,
): Promise<readonly string[]> {
  const needle = new TextEncoder().encode(text);
  const found: string[] = [];
  for (const { key, bytes } of files) {
    const opened = await decompressed(bytes);
    const has = (where: Uint8Array) => Buffer.from(where).includes(Buffer.from(needle));
    if (has(bytes) || has(opened) || key.includes(text)) found.push(key);
  }
  return found;
}

/** What `zstd -dc` and `gunzip -c` make of it; nothing when they cannot. */
async function decompressed(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const program = bytes[0] === 0x1f ? "gunzip" : bytes[1] === 0x2a ? "zstd" : undefined;
  if (program === undefined) return new Uint8Array(0);
  const child = new Deno.Command(program, {
    args: ["-dcf"],
    ...{ stdin: "piped", stdout: "piped", stderr: "null" },
  }).spawn();
  const writer = child.stdin.getWriter();
  void writer.write(bytes).then(() => writer.close()).catch(() => {});
  return (await child.output()).stdout;
}

/** Stands in for the program `age` where it is not installed: the same format, by the library. */
const AGE = `import { Decrypter } from "age-encryption";
const identity = Deno.args[Deno.args.indexOf("--identity") + 1];
const lines = Deno.readTextFileSync(identity).split("\\n").filter((line) => line.startsWith("AGE"));
const decrypter = new Decrypter();
for (const line of lines) decrypter.addIdentity(line);
const file = new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
await Deno.stdout.write(await decrypter.decrypt(file));
`;

async function hasAge(): Promise<boolean> {
  try {
    return (await new Deno.Command("age", { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

/** The script of docs/encryption.md, with `age` where it finds it. */
export class DocumentedScript implements AsyncDisposable {
  readonly #folder: string;
  /** Whether the real `age` is used. */
  readonly realAge: boolean;

  private constructor(folder: string, realAge: boolean) {
    this.#folder = folder;
    this.realAge = realAge;
  }

  static async extract(): Promise<DocumentedScript> {
    const folder = await Deno.makeTempDir({ prefix: "backupctl-script-" });
    const page = await Deno.readTextFile(`${PROJECT_ROOT}docs/encryption.md`);
    const script = /```js\n(\/\/ open_sealed\.mjs[\s\S]*?)```/.exec(page)?.[1];
    if (script === undefined) throw new Error("docs/encryption.md has no script");
    await Deno.writeTextFile(`${folder}/open_sealed.mjs`, script);
    const realAge = await hasAge();
    if (!realAge) {
      const deno = `${Deno.execPath()} run -A --quiet --config ${PROJECT_ROOT}deno.json`;
      await Deno.writeTextFile(`${folder}/age.ts`, AGE);
      await Deno.writeTextFile(
        `${folder}/age`,
        `#!/bin/sh\nexec ${deno} ${folder}/age.ts "$@"\n`,
        { mode: 0o755 },
      );
    }
    return new DocumentedScript(folder, realAge);
  }

  /** What it makes of an object. @throws {Error} with what it said. */
  async open(
    { key, bytes }: StoredFile,
    identityFile: string,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", `${this.#folder}/open_sealed.mjs`, identityFile, key],
      env: { PATH: `${this.#folder}:${Deno.env.get("PATH")}` },
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    const writer = child.stdin.getWriter();
    void writer.write(bytes).then(() => writer.close()).catch(() => {});
    const { success, stdout, stderr } = await child.output();
    if (success) return stdout;
    throw new Error(new TextDecoder().decode(stderr));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.#folder);
  }
}
