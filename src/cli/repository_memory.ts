import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { RepositoryMemory } from "../catalog/repository_memory.ts";
import type { Config } from "../config/config.ts";
import type { Environment } from "../config/environment_layer.ts";
import { stateRoot } from "./wal/private_folder.ts";

/** What repositories are told apart by. */
interface RepositoryPlace {
  readonly cluster: string;
  readonly repository: Pick<Config["repository"], "type" | "path">;
}

/**
 * The memory of a cluster's repository. Only a folder has one: where it was mounted, an empty one is
 * left, and nothing tells them apart.
 *
 * @param options.mayBegin what was there once does not count.
 */
export function memoryOf(
  { cluster, repository: { type, path } }: RepositoryPlace,
  { env, mayBegin = false }: { readonly env: Environment; readonly mayBegin?: boolean },
): { readonly memory?: RepositoryMemory } {
  const state = stateRoot(env);
  if (type !== "directory" || path === undefined || state === undefined) return {};
  const memory = repositoryMemory(`${state}/${cluster}`, path);
  return { memory: mayBegin ? { ...memory, isKnown: () => false } : memory };
}

/**
 * Remembers in a cluster's state folder that its repository in a folder was there: by a file that
 * is there or not, so that neither a full disk nor a killed process leaves half of it.
 */
function repositoryMemory(state: string, path: string): RepositoryMemory {
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
