import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { ConfigError } from "../../../src/domain/errors.ts";
import {
  type Environment,
  type ExplicitConnection,
  resolveConnection,
} from "../../../src/postgres/connection.ts";

/** A home folder with files; `mode` is that of each. */
async function home(
  files: Readonly<Record<string, string>>,
  mode = 0o600,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "backupctl-home-" });
  await Deno.mkdir(`${path}/.postgresql`);
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${path}/${name}`, text);
    await Deno.chmod(`${path}/${name}`, mode);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function resolve(explicit: ExplicitConnection, env: Environment = {}, path?: string) {
  return resolveConnection(explicit, { env, home: path });
}

Deno.test("resolveConnection() takes defaults when nothing is said", async () => {
  const connection = await resolve({ host: "h" });
  const user = userInfo().username;
  const defaults = { host: "h", port: 5432, user, database: "postgres", sslmode: "prefer" };
  assert.deepEqual(connection, defaults);
});

Deno.test("resolveConnection() takes a socket of that port, else localhost", async () => {
  const free = 64999;
  assert.equal((await resolve({ port: free })).host, "localhost");
  using _socket = Deno.listen({ transport: "unix", path: `/tmp/.s.PGSQL.${free}` });
  try {
    assert.equal((await resolve({ port: free })).host, "/tmp");
  } finally {
    await Deno.remove(`/tmp/.s.PGSQL.${free}`);
  }
});

Deno.test("resolveConnection() prefers fields, URL, own variables, service, libpq's", async () => {
  await using folder = await home({
    ".pg_service.conf":
      "[other]\nuser=nobody\n# the one\n[prod]\nhost=service\nuser=su\ndbname=sd\nport=6\n[z]\nport=9\n",
  });
  const env = {
    ...{ PGHOST: "libpq", PGUSER: "lu", PGDATABASE: "ld", PGPORT: "1", PGAPPNAME: "la" },
    ...{ PG_HOST: "own", PG_USER: "ou" },
  };
  const url = "postgres://uu@url";
  const found = async (explicit: ExplicitConnection, variables: Environment) => {
    const { host, user, database, port } = await resolve(explicit, variables, folder.path);
    return `${host} ${user} ${database} ${port}`;
  };
  assert.equal(await found({}, env), "own ou ld 1");
  assert.equal(await found({ url }, env), "url uu ld 1");
  assert.equal(await found({ url, user: "field" }, env), "url field ld 1");
  assert.equal(await found({}, { ...env, PGSERVICE: "prod" }), "own ou sd 6");
  assert.equal(await found({ url: "service=prod host=k" }, env), "k su sd 6");
  assert.equal((await resolve({}, env)).applicationName, "la");
});

Deno.test("resolveConnection() refuses a service that no file has", async () => {
  await assert.rejects(resolve({}, { PGSERVICE: "none", PGSERVICEFILE: "/nowhere" }), ConfigError);
  await using folder = await home({ services: "[a]\nhost\n[b]\npassthrough=1\n" });
  const file = { PGSERVICEFILE: `${folder.path}/services` };
  await assert.rejects(resolve({}, { PGSERVICE: "a", ...file }), /services:2/);
  await assert.rejects(resolve({}, { PGSERVICE: "b", ...file }), /passthrough/);
});

Deno.test("resolveConnection() takes the password of ~/.pgpass, after all others", async () => {
  await using folder = await home({ ".pgpass": "h:5432:*:*:from file\nlocalhost:*:*:*:socket\n" });
  const password = async (explicit: ExplicitConnection, env: Environment = {}) =>
    (await resolve({ host: "h", ...explicit }, env, folder.path)).password;
  assert.equal(await password({}), "from file");
  assert.equal(await password({ host: "/run/folder" }), "socket");
  assert.equal(await password({}, { PGPASSWORD: "libpq" }), "libpq");
  assert.equal(await password({}, { PGPASSWORD: "libpq", PG_PASSWORD: "own" }), "own");
  assert.equal(await password({ password: "field" }, { PG_PASSWORD: "own" }), "field");
  assert.equal(await password({}, { PGPASSFILE: "/nowhere" }), undefined);
  assert.equal(await password({ port: 1 }), undefined);
});

for (const mode of [0o640, 0o604, 0o660]) {
  Deno.test(`resolveConnection() warns of a .pgpass of mode ${mode.toString(8)}, unused`, async () => {
    await using folder = await home({ ".pgpass": "*:*:*:*:secret\n" }, mode);
    const warnings: string[] = [];
    const surroundings = {
      env: {},
      home: folder.path,
      warn: (text: string) => warnings.push(text),
    };
    const connection = await resolveConnection({ host: "h" }, surroundings);
    assert.equal(connection.password, undefined);
    assert.match(warnings.join(), /\.pgpass is open to others and is not used; .*0600/);
  });
}

Deno.test("resolveConnection() warns of a password file that is none", async () => {
  const warnings: string[] = [];
  const env = { PGPASSFILE: "/tmp" };
  const warn = (text: string) => warnings.push(text);
  await resolveConnection({ host: "h" }, { env, home: undefined, warn });
  assert.match(warnings.join(), /not a plain file/);
});

Deno.test("resolveConnection() takes certificates of ~/.postgresql where they are", async () => {
  await using folder = await home({
    ".postgresql/root.crt": "",
    ".postgresql/postgresql.crt": "",
    ".postgresql/postgresql.key": "",
  });
  const at = `${folder.path}/.postgresql`;
  const connection = await resolve({ host: "h", sslmode: "require" }, {}, folder.path);
  assert.equal(connection.sslmode, "require");
  assert.equal(connection.sslrootcert, `${at}/root.crt`);
  assert.equal(connection.sslcert, `${at}/postgresql.crt`);
  assert.equal(connection.sslkey, `${at}/postgresql.key`);
  const named = await resolve({ host: "h" }, { PGSSLROOTCERT: "system" }, folder.path);
  assert.equal(named.sslrootcert, "system");
});

const REFUSED: readonly (readonly [string, ExplicitConnection, Environment])[] = [
  ["port 0", { port: 0 }, {}],
  ["port 65536", {}, { PGPORT: "65536" }],
  ["port abc", {}, { PG_PORT: "abc" }],
  ["an unknown sslmode", {}, { PGSSLMODE: "on" }],
  ["several hosts", {}, { PGHOST: "a,b" }],
  ["a timeout in words", {}, { PGCONNECT_TIMEOUT: "soon" }],
];
for (const [what, explicit, env] of REFUSED) {
  Deno.test(`resolveConnection() refuses ${what}`, async () => {
    await assert.rejects(resolve(explicit, env), ConfigError);
  });
}

Deno.test("resolveConnection() takes its own limit for a timeout of 0, which is none", async () => {
  const timeout = async (text: string) =>
    (await resolve({ host: "h" }, { PGCONNECT_TIMEOUT: text })).connectTimeout;
  assert.deepEqual([await timeout("7"), await timeout("0"), await timeout("-1")], [
    7,
    undefined,
    undefined,
  ]);
});
