/** backupctl's own version, as in deno.json: reading that file would cost every WAL segment. */
export const VERSION = "0.1.0";
