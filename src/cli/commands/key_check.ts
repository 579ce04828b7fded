import { checkRecipients } from "../../crypto/crypto.ts";
import { ConfigError, KeyError } from "../../domain/errors.ts";
import { checkKeys, type OpenedKeys, opensProbe } from "../check_keys.ts";
import { type Command, type Context, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { openCatalog, openStore } from "../open_parts.ts";
import { readIdentities } from "../read_identities.ts";
import { sealsOf } from "../seals.ts";
import { type CheckedSigning, checkSigning } from "../check_signing.ts";
import { loadSettings } from "../session.ts";

interface Findings {
  /** Undefined: encryption is not configured. */
  readonly recipients?: number;
  readonly signing?: CheckedSigning;
  /** Undefined: there was nothing to try. */
  readonly probe?: boolean;
  readonly opened?: OpenedKeys;
}

/** Checks recipients and, when one is given, an identity. Exit status 12 when it opens too little. */
export const keyCheck: Command<CommandOf<"key check">> = async (_line, context) => {
  const { config } = await loadSettings(context);
  const { recipients, identity_file: file } = config.encryption ?? {};
  if (!config.encryption && !config.signing) {
    throw new ConfigError(
      "neither encryption nor signing is configured",
      'set encryption.recipients or signing.key_file; "backupctl key generate" makes keys',
    );
  }
  if (recipients) await checkRecipients(recipients);
  let found: Findings = {
    ...(config.encryption && { recipients: recipients?.length ?? 0 }),
    ...(config.signing && { signing: await checkSigning(config, context.signal) }),
  };
  if (file !== undefined) {
    const identities = await readIdentities(file);
    const store = await openStore(config);
    try {
      const { ring } = sealsOf(config);
      const repository = await openCatalog(store, config);
      const place = { store, cluster: config.cluster };
      const opened = await checkKeys({ place, repository, ring: ring!, signal: context.signal });
      found = { ...found, opened };
    } finally {
      await store.close?.();
    }
    if (recipients) found = { ...found, probe: await opensProbe(recipients, identities) };
  }
  print(found, context);
  return isWell(found) ? 0 : new KeyError("").exitCode;
};

function isWell({ probe, opened, signing }: Findings): boolean {
  if (signing && signing.unsigned.length > 0) return false;
  return probe !== false && (opened?.closedKeys.length ?? 0) === 0 &&
    (opened?.closedBackups.length ?? 0) === 0;
}

function print(found: Findings, context: Context): void {
  const { recipients, probe, opened, signing } = found;
  printResult(context, {
    json: () => ({
      schema: "backupctl.key_check/1",
      recipients: recipients ?? null,
      opens_new_objects: probe ?? null,
      ...(opened && {
        data_keys: opened.dataKeys,
        closed_data_keys: opened.closedKeys,
        encrypted_backups: opened.backups,
        closed_backups: opened.closedBackups,
      }),
      ...(signing && {
        signing: {
          ...{ public_key: signing.publicKey ?? null, trusted_keys: signing.trusted },
          unsigned_backups: signing.unsigned,
        },
      }),
      ok: isWell(found),
    }),
    text: () => lines(found).map((line) => `${line}\n`).join(""),
  });
}

function lines({ signing, ...encryption }: Findings): readonly string[] {
  return [
    ...(encryption.recipients === undefined ? [] : encryptionLines(encryption)),
    ...(signing ? signingLines(signing) : []),
  ];
}

function signingLines({ publicKey, trusted, unsigned }: CheckedSigning): readonly string[] {
  return [
    publicKey === undefined
      ? "no signing key is configured here: backups cannot be taken with this configuration"
      : `backups taken here are signed by ${publicKey}`,
    trusted === 0
      ? "signing.trusted_keys is not set: signatures are not checked"
      : `trusted keys: ${trusted}; backups that none of them signed: ${unsigned.length}`,
    ...unsigned.map((id) => `not signed: backup ${id}`),
  ];
}

function encryptionLines({ recipients, probe, opened }: Findings): readonly string[] {
  return [
    recipients === 0
      ? "no recipients are configured here: backups cannot be taken with this configuration"
      : `${recipients} recipients: what is stored from now on is encrypted to them`,
    ...(recipients === 1
      ? ["warning: one recipient only; when its identity is lost, the backups are"]
      : []),
    ...(probe === undefined
      ? []
      : [probe ? "the identity opens new objects" : "the identity does NOT open new objects"]),
    ...(opened ? openedLines(opened) : ["no identity was given: nothing was opened"]),
  ];
}

function openedLines({ dataKeys, closedKeys, backups, closedBackups }: OpenedKeys) {
  return [
    `the identity opens ${dataKeys - closedKeys.length} of ${dataKeys} data keys, and ` +
    `${backups - closedBackups.length} of ${backups} encrypted backups`,
    ...closedBackups.map((id) => `not opened: backup ${id}`),
    ...closedKeys.map((id) => `not opened: data key ${id}`),
  ];
}
