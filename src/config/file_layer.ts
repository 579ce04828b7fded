import { type Fault, formatPath, type KeyPath, type Layer, valueAt, withValue } from "./layer.ts";
import { secretKeys } from "./secrets.ts";
import { type YamlLayer, yamlLayer } from "./yaml_layer.ts";
import { briefReason } from "../log/told_reason.ts";

/**
 * Reads a configuration file; undefined when it is absent and not required.
 *
 * A file that holds secrets must not be readable by others.
 */
export async function fileLayer(
  file: string,
  { required }: { readonly required: boolean },
): Promise<YamlLayer | undefined> {
  try {
    const [text, { mode }] = [await Deno.readTextFile(file), await Deno.stat(file)];
    const read = yamlLayer(text, file);
    const secrets = secretKeys(read.layer.tree).map(formatPath);
    if (mode === null || (mode & 0o077) === 0 || secrets.length === 0) return read;
    const message = `holds a secret (${secrets.join(", ")}) and may be read by others (mode ${
      (mode & 0o777).toString(8).padStart(4, "0")
    }); run chmod 600 ${file}, or name a file with password_file and the like`;
    return { ...read, faults: [...read.faults, { place: file, path: [], message }] };
  } catch (error) {
    if (!required && await isAbsent(file, error)) return undefined;
    const fault: Fault = {
      place: file,
      path: [],
      message: `cannot be read: ${briefReason(error)}`,
    };
    return { layer: { tree: {}, place: () => file }, faults: [fault] };
  }
}

/**
 * A file of the current folder is absent, too, when that folder is closed to this user, such as
 * the home of whoever ran sudo. One of the system's that cannot be read is a fault.
 */
async function isAbsent(file: string, error: unknown): Promise<boolean> {
  if (error instanceof Deno.errors.NotFound) return true;
  if (file.startsWith("/") || !(error instanceof Deno.errors.PermissionDenied)) return false;
  return await Deno.lstat(file).then(
    () => false,
    (reason) => reason instanceof Deno.errors.PermissionDenied,
  );
}

/** Keys that name a file with a secret, and the key that gets what it holds. */
const SECRET_FILES: readonly (readonly [file: readonly string[], secret: readonly string[]])[] = [
  [["postgres", "password_file"], ["postgres", "password"]],
  [["repository", "secret_access_key_file"], ["repository", "secret_access_key"]],
  [["listen_token_file"], ["listen_token"]],
];

/**
 * Reads the secrets that the features of this version use from the files that one layer names.
 * A secret that stands in the same layer wins over its file.
 */
export async function withSecretFiles(
  layer: Layer,
): Promise<{ readonly layer: Layer; readonly faults: readonly Fault[] }> {
  let tree = layer.tree;
  const faults: Fault[] = [];
  const places = new Map<string, KeyPath>();
  for (const [path, target] of SECRET_FILES) {
    const file = valueAt(tree, path);
    if (typeof file !== "string" || valueAt(tree, target) !== undefined) continue;
    try {
      tree = withValue(tree, target, await readSecretFile(file));
      places.set(formatPath(target), path);
    } catch (error) {
      const message = `the file ${JSON.stringify(file)} cannot be read: ${briefReason(error)}`;
      faults.push({ place: layer.place(path), path, message });
    }
  }
  const place = (path: KeyPath) => layer.place(places.get(formatPath(path)) ?? path);
  return { layer: { tree, place }, faults };
}

/** What a file holds, without the line feed at its end. */
export async function readSecretFile(file: string): Promise<string> {
  return (await Deno.readTextFile(file)).replace(/\r?\n$/, "");
}
