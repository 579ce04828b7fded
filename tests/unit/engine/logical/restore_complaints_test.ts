import assert from "node:assert/strict";
import { readComplaints } from "../../../../src/engine/logical/restore_complaints.ts";

const OWN_ATTEMPT =
  `pg_restore: error: could not execute query: ERROR:  database "app" already exists
Command was: CREATE DATABASE app WITH TEMPLATE = template0;


`;
const OTHERS = `pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 215; 1259 16390 TABLE people app
pg_restore: error: could not execute query: ERROR:  type "geometry" does not exist
LINE 1: CREATE TABLE people (at geometry);
                             ^
Command was: CREATE TABLE people (at geometry);

pg_restore: error: could not execute query: ERROR:  must be owner of database app
Command was: COMMENT ON DATABASE app IS 'x';


`;
const COUNT = "pg_restore: warning: errors ignored on restore: 3\n";

Deno.test("readComplaints() takes each error once and not its context", () => {
  assert.deepEqual(readComplaints(OWN_ATTEMPT + OTHERS + COUNT, { isPrepared: false }), {
    errors: [
      'error: could not execute query: ERROR:  database "app" already exists',
      'error: could not execute query: ERROR:  type "geometry" does not exist',
      "error: could not execute query: ERROR:  must be owner of database app",
    ],
    gaveUp: false,
  });
});

Deno.test("readComplaints() forgives only the creation of a database that was prepared", () => {
  const { errors } = readComplaints(OWN_ATTEMPT + OTHERS + COUNT, { isPrepared: true });
  assert.equal(errors.length, 2);
  assert.match(errors[0]!, /geometry/);
  assert.match(errors[1]!, /must be owner/);
  const without = readComplaints(OTHERS + COUNT, { isPrepared: true });
  assert.equal(without.errors.length, 2);
});

Deno.test("readComplaints() tells when pg_restore gave up", () => {
  const fatal = "pg_restore: error: could not read from input file: end of file\n";
  assert.deepEqual(readComplaints(fatal, { isPrepared: false }), {
    errors: ["error: could not read from input file: end of file"],
    gaveUp: true,
  });
});
