import { ConfigError } from "../domain/errors.ts";
import type { CodecSpec } from "./codec_port.ts";

const RANGES = {
  gzip: { highest: 9, standard: 6 },
  zstd: { highest: 19, standard: 1 },
} as const;

/**
 * Reads `gzip:6`, `zstd:1`, or an algorithm alone for its standard level (gzip 6, zstd 1).
 *
 * @throws {ConfigError} naming the value and what is allowed.
 */
export function parseCodec(text: string): CodecSpec {
  const match = /^(gzip|zstd)(?::([1-9]\d?))?$/.exec(text);
  const algorithm = match?.[1];
  if (algorithm !== "gzip" && algorithm !== "zstd") throw refused(text);
  const { highest, standard } = RANGES[algorithm];
  const level = match?.[2] === undefined ? standard : Number(match[2]);
  if (level > highest) throw refused(text);
  return { algorithm, level };
}

/** What {@link parseCodec} reads: `zstd:1`. */
export function formatCodec(spec: CodecSpec): string {
  return `${spec.algorithm}:${spec.level}`;
}

function refused(text: string): ConfigError {
  const shown = text.length > 40 ? `${text.slice(0, 37)}...` : text;
  return new ConfigError(
    `compression ${JSON.stringify(shown)} is not known`,
    "use gzip:1 to gzip:9 or zstd:1 to zstd:19",
  );
}
