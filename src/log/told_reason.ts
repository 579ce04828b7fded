/**
 * What a failed call on a file said, as people should read it. Of what its permission set denies,
 * Deno speaks of the flags of a compilation, which no user can set.
 */
export function toldReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (!(error instanceof Deno.errors.NotCapable)) return text;
  const [, access] = /^Requires (read|write) access/.exec(text) ?? [];
  if (access === "read") return "this executable never reads it (docs/permissions.md)";
  if (access === "write") return "this executable never writes there (docs/permissions.md)";
  return "this executable may not do that (docs/permissions.md)";
}

/** The same where the message names the file already: `No such file or directory`. */
export function briefReason(error: unknown): string {
  return toldReason(error).replace(/ \(os error \d+\).*$/s, "");
}
