/** What a build says of itself. `deno task bundle` writes the values over these marks. */
export const BUILD = {
  /** The commit that it was made from. */
  commit: known("@commit@"),
  /** The SHA-256 of deno.lock, which names each dependency with its own hash. */
  lockfileSha256: known("@lockfile_sha256@"),
};

function known(mark: string): string | null {
  return mark.startsWith("@") ? null : mark;
}
