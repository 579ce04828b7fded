import { recipientsFingerprint, registerDataKey } from "../../catalog/data_keys.ts";
import { wrapKey } from "../../crypto/crypto.ts";
import { counted } from "../../domain/counted.ts";
import { ConfigError, KeyError } from "../../domain/errors.ts";
import { dataKeysOf, openDataKey } from "../check_keys.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openStore } from "../open_parts.ts";
import { sealsOf } from "../seals.ts";
import { loadSettings } from "../session.ts";

/** Wraps every data key for the recipients of now. Exit status 12 when some could not be opened. */
export const keyRekey: Command<CommandOf<"key rekey">> = async (_line, context) => {
  const { config } = await loadSettings(context);
  const { recipients } = config.encryption ?? {};
  const { ring } = sealsOf(config);
  if (!recipients) {
    throw new ConfigError(
      "no recipients are configured",
      "set encryption.recipients to the new ones",
    );
  }
  if (!ring) {
    throw new KeyError(
      "no identity is given",
      "give one that opens the data keys: --identity FILE (- for standard input)",
    );
  }
  const { signal } = context;
  const store = await openStore(config);
  try {
    const place = { store, cluster: config.cluster };
    const wanted = recipientsFingerprint(recipients);
    let [wrapped, already] = [0, 0];
    const closed: string[] = [];
    for (const [id, wrappings] of await dataKeysOf(place, signal)) {
      if (wrappings.some((name) => name.recipients === wanted)) {
        already += 1;
        continue;
      }
      const secret = await openDataKey({ place, ring, signal }, wrappings);
      if (!secret) {
        closed.push(id);
        continue;
      }
      const key = { id, wrapped: await wrapKey(secret, recipients) };
      await registerDataKey(place, key, { recipients, signal });
      wrapped += 1;
    }
    printResult(context, {
      json: () => ({
        schema: "backupctl.rekey/1",
        ...{ wrapped, already, closed_data_keys: closed, ok: closed.length === 0 },
      }),
      text: () =>
        `${counted(wrapped, "data key")} wrapped for ${
          counted(recipients.length, "recipient")
        } of now, ` +
        `${already} were already\n` + closed.map((id) => `not opened: data key ${id}\n`).join(""),
    });
    return closed.length === 0 ? 0 : new KeyError("").exitCode;
  } finally {
    await store.close?.();
  }
};
