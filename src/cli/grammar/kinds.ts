/**
 * The kinds of values that flags take. A message says what is wrong and what would be right.
 *
 * @module
 */
import type { NonEmptyString } from "@optique/core/nonempty";
import { message, text } from "@optique/core/message";
import type { ValueParser } from "@optique/core/valueparser";
import { isBackupId } from "../../domain/backup_id.ts";
import { parseDuration } from "../../domain/duration.ts";
import { UsageError } from "../../domain/errors.ts";
import { checkLabel } from "../../domain/label.ts";
import { isWalSegmentName } from "../../domain/wal.ts";

/** A kind of value: `read` throws a {@link UsageError} for what it does not take. */
function kind<T>(
  metavar: NonEmptyString,
  { read, write, placeholder }: {
    readonly read: (input: string) => T;
    readonly write: (value: T) => string;
    readonly placeholder: T;
  },
): ValueParser<"sync", T> {
  return {
    mode: "sync",
    metavar,
    placeholder,
    format: write,
    parse(input) {
      try {
        return { success: true, value: read(input) };
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        const hint = error.hint === undefined ? "" : `; ${error.hint}`;
        return { success: false, error: message`${text(`${error.message}${hint}`)}` };
      }
    },
  };
}

function textKind(metavar: NonEmptyString, read: (input: string) => string) {
  return kind(metavar, { read, write: (value) => value, placeholder: "" });
}

/** A backup's label or a cluster's name. */
export function label(what: string): ValueParser<"sync", string> {
  return textKind("NAME", (input) => checkLabel(what, input));
}

/** The name of a backup. */
export const backupIdKind: ValueParser<"sync", string> = textKind("ID", (input) => {
  if (isBackupId(input)) return input;
  throw new UsageError(
    `${quoted(input)} is not a backup's id such as 20261123T022415Z-F`,
    '"backupctl status" lists them',
  );
});

/** Text that is not empty and holds no control characters: a path, a database's name. */
export function words(metavar: NonEmptyString): ValueParser<"sync", string> {
  return textKind(metavar, (input) => {
    if (input === "") throw new UsageError(`${metavar} is empty`);
    // deno-lint-ignore no-control-regex -- control characters are what it is about
    if (!/[\u0000-\u001f\u007f]/.test(input)) return input;
    throw new UsageError(`${quoted(input)} holds a control character`);
  });
}

/** A span of time, in milliseconds. */
export const duration: ValueParser<"sync", number> = kind("TIME", {
  placeholder: 0,
  write: (value) => `${value}ms`,
  read: (input) => {
    const value = parseDuration(input);
    if (value !== undefined && value > 0) return value;
    throw new UsageError(`${quoted(input)} is not a time such as 30s, 10m or 2h`);
  },
});

/** Kilobytes a second, written as pg_basebackup's `--max-rate` takes them. */
export const rate: ValueParser<"sync", number> = kind("RATE", {
  placeholder: 32,
  write: (value) => `${value}k`,
  read: (input) => {
    const match = /^(\d{1,9})([kM]?)$/.exec(input);
    const kilobytes = Number(match?.[1]) * (match?.[2] === "M" ? 1024 : 1);
    if (kilobytes >= 32 && kilobytes <= 1_048_576) return kilobytes;
    throw new UsageError(
      `${quoted(input)} is not a rate from 32k to 1024M`,
      "k and M are kilobytes and megabytes a second",
    );
  },
});

/** A share, above 0 and at most 1, written as a percentage. */
export const percentage: ValueParser<"sync", number> = kind("PERCENT", {
  placeholder: 1,
  write: (value) => `${value * 100}%`,
  read: (input) => {
    const match = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(input);
    const share = Number(match?.[1]) / 100;
    if (share > 0 && share <= 1) return share;
    throw new UsageError(`${quoted(input)} is not a share such as 10%`);
  },
});

/** `table=N`: how many rows a table has at least. */
export const rowFloor: ValueParser<"sync", readonly [string, number]> = kind("TABLE=N", {
  placeholder: ["", 0],
  write: ([table, rows]) => `${table}=${rows}`,
  read: (input) => {
    const match = /^(\P{Cc}+)=(\d{1,15})$/u.exec(input);
    if (match) return [match[1]!, Number(match[2])];
    throw new UsageError(`${quoted(input)} is not TABLE=N, such as public.orders=1000`);
  },
});

/** The name of a WAL segment. */
export const segment: ValueParser<"sync", string> = textKind("SEGMENT", (input) => {
  if (isWalSegmentName(input)) return input;
  throw new UsageError(`${quoted(input)} is not a segment such as 0000000300000000000000A1`);
});

/** `key=value` for people: the key is a label, the value one line of at most 256 characters. */
export const annotation: ValueParser<"sync", readonly [string, string]> = kind("KEY=VALUE", {
  placeholder: ["", ""],
  write: ([key, value]) => `${key}=${value}`,
  read: (input) => {
    const at = input.indexOf("=");
    if (at < 1) throw new UsageError(`${quoted(input)} is not KEY=VALUE`);
    const [key, value] = [input.slice(0, at), input.slice(at + 1)];
    // deno-lint-ignore no-control-regex -- control characters are what it is about
    if (value.length > 256 || /[\u0000-\u001f\u007f]/.test(value)) {
      throw new UsageError(`the value of ${quoted(key)} is not one line of 256 characters at most`);
    }
    return [checkLabel("the annotation", key), value];
  },
});

/** `old=new`, both absolute paths. */
export const tablespaceMove: ValueParser<"sync", readonly [string, string]> = kind("OLD=NEW", {
  placeholder: ["", ""],
  write: ([from, to]) => `${from}=${to}`,
  read: (input) => {
    const [from = "", to = "", ...rest] = input.split("=");
    if (rest.length === 0 && from.startsWith("/") && to.startsWith("/")) return [from, to];
    throw new UsageError(`${quoted(input)} is not OLD=NEW with two absolute paths`);
  },
});

/** A server to restore into. A password in it would show in the list of processes. */
export const serverUrl: ValueParser<"sync", string> = textKind("URL", (input) => {
  const url = /^postgres(ql)?:\/\//.test(input) ? URL.parse(input) : null;
  if (url === null) {
    throw new UsageError("this is not an address such as postgres://user@host:5432/");
  }
  if (url.password === "" && !/[?&]password=/.test(url.search)) return input;
  throw new UsageError(
    "a password on the command line can be read by everybody on this machine",
    "use PGPASSWORD, PGPASSFILE or ~/.pgpass",
  );
});

function quoted(input: string): string {
  return JSON.stringify(input.length > 60 ? `${input.slice(0, 57)}...` : input);
}
