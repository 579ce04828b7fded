import type { UnreadableBackup } from "../../catalog/catalog.ts";
import { MANIFEST_LIMIT_BYTES, openRepository } from "../../catalog/repository.ts";
import { counted } from "../../domain/counted.ts";
import { ConfigError, IntegrityError } from "../../domain/errors.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openSignatures, openStore } from "../open_parts.ts";
import { loadSettings } from "../session.ts";
import { requireSigningKey } from "../signing.ts";

/** Signs what is there and not signed. Exit status 8 when something of it cannot be read. */
export const keySign: Command<CommandOf<"key sign">> = async (_line, context) => {
  const { config } = await loadSettings(context);
  if (!config.signing) {
    throw new ConfigError(
      "signing is not configured",
      'set signing.key_file; "backupctl key generate --signing FILE" makes a key',
    );
  }
  await requireSigningKey(config);
  const { signal } = context;
  const store = await openStore(config);
  try {
    const unreadable: UnreadableBackup[] = [];
    // Without signatures: what is not signed is what is looked for.
    const backups = await openRepository(store, { cluster: config.cluster }).backups({
      ...{ withObjects: false, signal },
      onUnreadable: (backup) => void unreadable.push(backup),
    });
    const signatures = (await openSignatures(store, config))!;
    const signed = await signatures.signExisting(backups, { limit: MANIFEST_LIMIT_BYTES, signal });
    const left = unreadable.map(({ key }) => key.split("/").at(-2) ?? key);
    printResult(context, {
      json: () => ({
        schema: "backupctl.key_sign/1",
        ...{ signed: signed.map(({ id }) => id), already: backups.length - signed.length },
        ...{ unreadable: left, ok: left.length === 0 },
      }),
      text: () =>
        signed.map(({ id }) => `signed: backup ${id}\n`).join("") +
        left.map((id) => `cannot be read and was not signed: backup ${id}\n`).join("") +
        `${counted(signed.length, "backup")} signed, ${
          backups.length - signed.length
        } had a signature\n`,
    });
    return left.length === 0 ? 0 : new IntegrityError("").exitCode;
  } finally {
    await store.close?.();
  }
};
