import { generateIdentity, generateSigningKey } from "../../crypto/crypto.ts";
import { DestinationError } from "../../domain/errors.ts";
import { briefReason } from "../../log/told_reason.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";

/** Makes an identity, or a key that signs; never over a file that is there. */
export const keyGenerate: Command<CommandOf<"key generate">> = async (line, context) => {
  const { file } = line;
  if (line.signing) return await makeSigningKey(file, context);
  const { identity, recipient } = await generateIdentity();
  const text = `# created: ${context.clock.now().toISOString()}\n` +
    `# public key: ${recipient}\n${identity}\n`;
  if (file !== undefined) await writeKey(file, text);
  printResult(context, {
    json: () => ({
      schema: "backupctl.key/1",
      recipient,
      ...(file === undefined ? { identity } : { file }),
    }),
    text: () =>
      file === undefined
        ? text
        : `wrote the identity to ${file}: keep it, and a copy of it, away from the database host\n` +
          `recipient: ${recipient}\n`,
  });
  return 0;
};

async function makeSigningKey(file: string | undefined, context: Context): Promise<number> {
  const { pem, publicKey } = generateSigningKey();
  const text =
    `# created: ${context.clock.now().toISOString()}\n# public key: ${publicKey}\n${pem}`;
  if (file !== undefined) await writeKey(file, text);
  printResult(context, {
    json: () => ({
      schema: "backupctl.signing_key/1",
      public_key: publicKey,
      ...(file === undefined ? { pem } : { file }),
    }),
    text: () =>
      file === undefined
        ? text
        : `wrote the signing key to ${file}, for signing.key_file where backups are taken\n` +
          `public key, for signing.trusted_keys: ${publicKey}\n`,
  });
  return 0;
}

async function writeKey(file: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(file, text, { createNew: true, mode: 0o600 });
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw new DestinationError(
        `${file} is already there and was left as it is`,
        "a key that is lost may take its backups with it: name another file",
        { cause },
      );
    }
    const reason = briefReason(cause);
    throw new DestinationError(`${file} cannot be written: ${reason}`, undefined, { cause });
  }
}
