/** How an incremental file is named: `base/5/INCREMENTAL.16384` holds pages of `base/5/16384`. */
const PREFIX = "INCREMENTAL.";

/** The name under which an increment stores pages of `path`. */
export function incrementalName(path: string): string {
  const at = path.lastIndexOf("/") + 1;
  return `${path.slice(0, at)}${PREFIX}${path.slice(at)}`;
}

/** The file that an increment's member `name` holds pages of; undefined when it is a whole file. */
export function patchedName(name: string): string | undefined {
  const at = name.lastIndexOf("/") + 1;
  const bare = name.slice(at);
  if (!bare.startsWith(PREFIX) || bare.length === PREFIX.length) return undefined;
  return name.slice(0, at) + bare.slice(PREFIX.length);
}
