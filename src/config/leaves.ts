/**
 * The kinds of values that a configuration holds. Each message continues the sentence
 * `<key>: <value> …`.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import * as v from "valibot";
import { isAgeRecipient } from "../domain/age_recipient.ts";
import { parseDuration } from "../domain/duration.ts";
import { UsageError } from "../domain/errors.ts";
import { checkLabel } from "../domain/label.ts";
import { parseListenAddress } from "../domain/listen_address.ts";
import { parseRetentionPolicy } from "../domain/retention_policy.ts";

// deno-lint-ignore no-control-regex -- control characters are what it is about
const CONTROL = /[\u0000-\u001f\u007f]/;

/** One line of text, not empty. */
export const text = v.pipe(
  v.string("is not text; put it in quotes"),
  v.check((value) => value !== "", "is empty; leave the key out instead"),
  v.check((value) => value.length <= 4096, "is longer than 4096 characters"),
  v.check((value) => !CONTROL.test(value), "holds a control character"),
);

/** Text of a pattern. */
function matching(pattern: RegExp, message: string) {
  return v.pipe(text, v.check((value) => pattern.test(value), message));
}

/** A cluster's, backup's or schedule's name. */
export const label = v.pipe(
  text,
  v.check((value) => {
    try {
      return checkLabel("the name", value) === value;
    } catch {
      return false;
    }
  }, "is not a name of 1 to 64 letters, digits, dots, underscores and hyphens"),
);

/** An absolute or relative path, which no command of PostgreSQL's reads. */
export const path = text;

/** What is wrong with a relative path that PostgreSQL's commands read. */
export const RELATIVE =
  "is a relative path, which archive_command and restore_command would look for in " +
  "the data directory; write it absolute";

/** A path for PostgreSQL's commands, too, which run in its data directory. */
export const absolutePath = v.pipe(text, v.check(isAbsolute, RELATIVE));

/** The same, or a word in its place, such as `auto`. */
export function absolutePathOr(word: string) {
  return v.pipe(text, v.check((value) => value === word || isAbsolute(value), RELATIVE));
}

/** The folder of a repository. */
export const repositoryPath = v.pipe(
  text,
  v.check(isAbsolute, `${RELATIVE}, such as "/srv/backups"`),
);

/** A whole number within bounds. */
export function whole(least: number, most: number) {
  const message = `is not a whole number from ${least} to ${most}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(least, message),
    v.maxValue(most, message),
  );
}

/** `true` or `false`. */
export const flag = v.boolean("is not true or false");

/** One of a few words. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return v.picklist(words, `is not one of ${words.join(", ")}`);
}

/** A word, or something else when that is not given. */
export function wordOr<const W extends string, S extends v.GenericSchema>(word: W, other: S) {
  return v.union([v.literal(word), other], (issue) => {
    const detail = issue.issues?.find((inner) => inner.type !== "literal")?.message;
    return `is not "${word}" and ${detail ?? "not a value either"}`;
  });
}

/** A span of time; milliseconds once read. */
export const duration = v.pipe(
  v.string("is not a duration such as 60s, 10m, 36h or 8d"),
  v.check(
    (value) => parseDuration(value) !== undefined,
    "is not a duration such as 60s, 10m, 36h or 8d",
  ),
  v.transform((value) => parseDuration(value)!),
);

/** A part of a whole, such as `10%`; a fraction of 1 once read. */
export const percentage = v.pipe(
  v.string("is not a percentage such as 10%"),
  v.check(
    (value) => /^\d{1,3}(\.\d+)?%$/.test(value) && parseFloat(value) <= 100,
    "is not a percentage such as 10%",
  ),
  v.transform((value) => parseFloat(value) / 100),
);

/** `gzip:1` to `gzip:9`, `zstd:1` to `zstd:19`, or an algorithm alone. */
export const codec = matching(
  /^(gzip(:[1-9])?|zstd(:(1\d|[1-9]))?)$/,
  "is not a compression: use gzip:1 to gzip:9 or zstd:1 to zstd:19",
);

/** An http or https address without a user in it. */
export const webUrl = v.pipe(
  text,
  v.check((value) => {
    const url = URL.parse(value);
    return url !== null && /^https?:$/.test(url.protocol) && url.username === "" &&
      url.password === "";
  }, "is not an http:// or https:// address without user and password"),
);

/** A mailbox such as `dba@example.com` or `DBA <dba@example.com>`, in characters of one line. */
export const mailAddress = matching(
  /^([^<>,;@]*<[^\s<>,;@]+@[^\s<>,;@]+>|[^\s<>,;@]+@[^\s<>,;@]+)$/,
  "is not an address such as dba@example.com",
);

/** Hours and minutes on a wall clock. */
export const timeOfDay = matching(
  /^([01]\d|2[0-3]):[0-5]\d$/,
  'is not a time of day such as "22:00"',
);

/** A connection string of libpq. */
export const postgresUrl = matching(
  /^postgres(ql)?:\/\/\S+$/,
  "is not a postgres:// address",
);

/** Whom backups are encrypted to; the checksum is checked. */
export const recipient = v.pipe(
  text,
  v.check(isAgeRecipient, 'is not an age recipient ("age1…"); its checksum must be right'),
);

/** Whose signatures count: SubjectPublicKeyInfo of Ed25519 (RFC 8410), the middle line of its PEM. */
export const publicKey = matching(
  /^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
  'is not an Ed25519 public key ("MCowBQYDK2VwAyEA…", 60 characters)',
);

/** An SQL identifier that needs no quotes. */
export const identifier = matching(/^[a-z_][a-z0-9_]{0,62}$/, "is not a lower-case SQL name");

/** Where to listen. */
export const listenAddress = v.pipe(
  text,
  v.check(
    (value) => parseListenAddress(value) !== undefined,
    "is not an address with a port such as 127.0.0.1:9187",
  ),
);

/** An S3 bucket; other providers allow more than AWS does. */
export const bucketName = matching(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, "is not a bucket's name");

/** A prefix of keys: segments with slashes between. */
export const keyPrefix = v.pipe(
  text,
  v.check(
    (value) =>
      value.split("/").every((part) => /^[A-Za-z0-9._=-]+$/.test(part) && !/^\.+$/.test(part)),
    "is not a prefix: use letters, digits and . _ - = with / between, none at the ends",
  ),
);

/** Five fields of cron, six with seconds, or a nickname such as `@daily`. */
export const cron = matching(
  /^(@(yearly|annually|monthly|weekly|daily|hourly)|[\d*\/,A-Za-z#L?-]+( [\d*\/,A-Za-z#L?-]+){4,5})$/,
  'is not a cron line of five fields such as "0 2 * * 0"',
);

/** A name of the time zone database. */
export const timezone = v.pipe(
  text,
  v.check((value) => {
    try {
      return new Intl.DateTimeFormat("en", { timeZone: value }).format() !== "";
    } catch {
      return false;
    }
  }, "is not a time zone such as America/Sao_Paulo or UTC"),
);

/** Rules such as `weekly-retain=4,pitr-window=14d`. */
export const retention = v.pipe(
  text,
  v.check(
    (value) => policyFault(value) === undefined,
    (issue) => `is not a policy: ${policyFault(String(issue.input))}`,
  ),
);

function policyFault(value: string): string | undefined {
  try {
    parseRetentionPolicy(value);
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return error.hint === undefined ? error.message : `${error.message}; ${error.hint}`;
  }
}
