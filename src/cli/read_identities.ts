import type { Bytes } from "../domain/bytes.ts";
import { KeyError } from "../domain/errors.ts";
import { briefReason } from "../log/told_reason.ts";

/** Longer than any file of identities that a person keeps. */
const LIMIT_BYTES = 1024 * 1024;
/** What --identity names standard input by. */
export const STANDARD_INPUT = "-";

let fromInput: Promise<string> | undefined;

/**
 * Reads a file of age identities: one a line, comments and empty lines between them.
 *
 * @param file `-` for standard input, which is read once.
 * @throws {KeyError} when it cannot be read or holds none. Never with its content in the message.
 */
export async function readIdentities(file: string): Promise<readonly string[]> {
  const name = file === STANDARD_INPUT ? "standard input" : `the identity file ${file}`;
  const text = await readText(file).catch((cause) => {
    const reason = briefReason(cause);
    throw new KeyError(`${name} cannot be read: ${reason}`, undefined, { cause });
  });
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const identities = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (identities.length === 0) {
    throw new KeyError(
      `${name} holds no identity`,
      '"backupctl key generate --output FILE" makes one',
    );
  }
  return identities;
}

async function readText(file: string): Promise<string> {
  if (file !== STANDARD_INPUT) return await Deno.readTextFile(file);
  fromInput ??= limited(Deno.stdin.readable);
  return await fromInput;
}

async function limited(stream: ReadableStream<Bytes>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > LIMIT_BYTES) throw new RangeError("it is too long");
  }
  return text + decoder.decode();
}
