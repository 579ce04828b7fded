import type { ChainMemory } from "../catalog/signed_chain.ts";
import type { SignedLink } from "../catalog/signed_statement.ts";

/**
 * The newest signed backup of each system, in files of their own: `<folder>/<system>.json`. What
 * cannot be kept or read is forgotten: it is only a help.
 */
export function signedMemory(folder: string): ChainMemory {
  const newest = async (systemIdentifier: string): Promise<SignedLink | undefined> => {
    try {
      return linkOf(JSON.parse(await Deno.readTextFile(`${folder}/${systemIdentifier}.json`)));
    } catch {
      return undefined;
    }
  };
  return {
    newest,
    remember: async (systemIdentifier, link) => {
      const known = await newest(systemIdentifier);
      if (known && known.sequence >= link.sequence) return;
      try {
        await replace(`${folder}/${systemIdentifier}.json`, JSON.stringify(link));
      } catch {
        // A folder that cannot be written to.
      }
    },
  };
}

/** Whoever reads it sees the old text or the new one. */
async function replace(file: string, text: string): Promise<void> {
  await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(temporary, `${text}\n`, { mode: 0o600, createNew: true });
    await Deno.rename(temporary, file);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

function linkOf(value: unknown): SignedLink | undefined {
  const { id, sequence, sha256 } = (value ?? {}) as Partial<SignedLink>;
  if (typeof id !== "string" || typeof sha256 !== "string") return undefined;
  return Number.isSafeInteger(sequence) ? { id, sequence: sequence!, sha256 } : undefined;
}
