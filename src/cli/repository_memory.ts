import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { RepositoryMemory } from "../catalog/repository_memory.ts";

/**
 * Remembers in a cluster's state folder that its repository in a folder was there: by a file that
 * is there or not, so that neither a full disk nor a killed process leaves half of it.
 */
export function repositoryMemory(state: string, path: string): RepositoryMemory {
  const location = resolve(path);
  const name = createHash("sha256").update(location).digest("hex").slice(0, 16);
  const place = `${state}/repository-${name}`;
  const isKnown = () => isThere(place);
  const remember = () => {
    if (isKnown()) return;
    try {
      Deno.mkdirSync(state, { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(place, `${location}\n`, { createNew: true, mode: 0o600 });
    } catch {
      // No folder, no room, or another run was faster.
    }
  };
  return { place, isKnown, remember };
}

function isThere(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}
