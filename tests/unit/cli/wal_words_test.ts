import assert from "node:assert/strict";
import { walCommandOf } from "../../../src/cli/wal/wal_words.ts";

const LINES = [
  { line: "wal-push pg_wal/x", command: "wal-push", args: "pg_wal/x" },
  { line: "--config f archive-push x -q", command: "wal-push", args: "--config f x -q" },
  { line: "--stanza=main wal-fetch a b", command: "wal-fetch", args: "--stanza=main a b" },
  { line: "archive-get a b --timeout 5s", command: "wal-fetch", args: "a b --timeout 5s" },
  { line: "-v backup incremental --label x", command: "backlog", args: "-v --label x" },
] as const;
for (const { line, command, args } of LINES) {
  Deno.test(`walCommandOf() takes "${line}" the short way`, () => {
    assert.deepEqual(walCommandOf(line.split(" ")), { command, args: args.split(" ") });
  });
}

const OTHERS = ["status", "backup full", "wal status", "restore wal-push", "wal-push --help", "-q"];
for (const line of [...OTHERS, "--config wal-push status", "explain wal-push"]) {
  Deno.test(`walCommandOf() leaves "${line}" to the long way`, () => {
    assert.equal(walCommandOf(line.split(" ")), undefined);
  });
}
