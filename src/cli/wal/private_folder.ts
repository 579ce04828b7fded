import type { Environment } from "../../config/environment_layer.ts";

/**
 * A folder of this user alone, made when it is missing: what lies in it is believed.
 *
 * @returns undefined when it cannot be had, or could be written by somebody else.
 */
export function privateFolder(path: string): string | undefined {
  try {
    return isPrivate(path) ? path : undefined;
  } catch {
    // Not there yet.
  }
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    return isPrivate(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function isPrivate(path: string): boolean {
  const info = Deno.lstatSync(path);
  return info.isDirectory && info.uid === Deno.uid() && ((info.mode ?? 0) & 0o022) === 0;
}

/**
 * Where this user's state is kept, of all clusters; undefined when the environment does not say. A
 * relative path counts for none (XDG Base Directory Specification): it would be in the data directory.
 */
export function stateRoot(env: Environment): string | undefined {
  const given = env["STATE_DIRECTORY"]?.split(":")[0];
  if (given?.startsWith("/")) return given;
  const bases = [env["XDG_STATE_HOME"], env["HOME"] && `${env["HOME"]}/.local/state`];
  const base = bases.find((path) => path?.startsWith("/"));
  return base && `${base}/backupctl`;
}
