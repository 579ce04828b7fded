import project from "../../deno.json" with { type: "json" };

/** backupctl's own version. */
export const VERSION: string = project.version;
