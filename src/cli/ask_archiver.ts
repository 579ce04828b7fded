import type { Config } from "../config/config.ts";
import { ConfigError, PostgresError } from "../domain/errors.ts";
import type { Archiving, WalBacklog } from "../engine/archiving.ts";
import type { Context } from "./context.ts";
import { openServer, resolveServer } from "./open_parts.ts";

/** What the server itself says of its archiving. */
export interface ServerReport {
  readonly archiving: Archiving;
  /** Undefined when the role may not see it. */
  readonly backlog: WalBacklog | undefined;
}

/** Seconds that the server may take: what the repository says is worth showing without it. */
const PATIENCE_SECONDS = 5;

/** Asks the server how its archiving goes. @returns a text when it cannot say: why. */
export async function askArchiver(
  config: Config,
  context: Context,
): Promise<ServerReport | string> {
  const { readArchiving, readBacklog } = await import("../engine/archiving.ts");
  try {
    const connection = await resolveServer(config, context);
    await using server = await openServer({ ...connection, connectTimeout: PATIENCE_SECONDS });
    const archiving = await readArchiving(server);
    const backlog = await readBacklog(server).catch((error) => {
      if (error instanceof PostgresError) return undefined;
      throw error;
    });
    return { archiving, backlog };
  } catch (error) {
    if (error instanceof PostgresError || error instanceof ConfigError) return error.message;
    throw error;
  }
}
