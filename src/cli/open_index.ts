import type { MetadataManager } from "../catalog/metadata_manager.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../domain/errors.ts";
import type { Context } from "./context.ts";
import { openMetadata } from "./open_parts.ts";

/**
 * Works with the index in PostgreSQL and closes it again.
 *
 * @throws {ConfigError} when it is switched off.
 */
export async function withIndex<T>(
  config: Config,
  { context, use }: {
    readonly context: Context;
    readonly use: (index: MetadataManager) => Promise<T>;
  },
): Promise<T> {
  const metadata = await openMetadata(config, context);
  if (!metadata) {
    throw new ConfigError("there is no index: metadata.url is off", "set it to auto or an address");
  }
  try {
    return await use(metadata.index);
  } finally {
    await metadata.close();
  }
}
