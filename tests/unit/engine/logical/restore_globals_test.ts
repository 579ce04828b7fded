import assert from "node:assert/strict";
import { inPlace, withoutRoles } from "../../../../src/engine/logical/restore_globals.ts";

const SQL = `SET default_transaction_read_only = off;
CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'x';
CREATE ROLE "odd ""name""";
ALTER ROLE "odd ""name""" WITH NOLOGIN;
CREATE ROLE application;
ALTER ROLE application SET work_mem TO '8MB';
GRANT app TO application;
COMMENT ON ROLE app IS 'CREATE ROLE app;';
`;

Deno.test("withoutRoles() leaves out what would create or change roles that are there", () => {
  const { script, kept } = withoutRoles(SQL, new Set(["app", 'odd "name"', "unrelated"]));
  assert.equal(kept, 2);
  assert.equal(
    script,
    `SET default_transaction_read_only = off;
CREATE ROLE application;
ALTER ROLE application SET work_mem TO '8MB';
GRANT app TO application;
COMMENT ON ROLE app IS 'CREATE ROLE app;';
`,
  );
});

Deno.test("withoutRoles() changes nothing for a server without these roles", () => {
  assert.deepEqual(withoutRoles(SQL, new Set(["postgres"])), { script: SQL, kept: 0 });
});

Deno.test("inPlace() takes away the place of every tablespace, and nothing else", () => {
  const rest = "ALTER TABLESPACE fast SET (random_page_cost=1.1);\n" +
    "COMMENT ON TABLESPACE fast IS 'at\nCREATE TABLE LOCATION ''/x''';\n";
  const sql = `CREATE TABLESPACE fast OWNER postgres LOCATION '/srv/fast';\n` +
    `CREATE TABLESPACE "odd ""one" OWNER "a b" LOCATION E'/srv/it''s \\\\ here';\n`;
  assert.equal(
    inPlace(sql + rest),
    "SET allow_in_place_tablespaces = on;\n" +
      `CREATE TABLESPACE fast OWNER postgres LOCATION '';\n` +
      `CREATE TABLESPACE "odd ""one" OWNER "a b" LOCATION '';\n${rest}`,
  );
});
