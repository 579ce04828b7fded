import type { Environment } from "../config/config.ts";

/** Who runs this process: `postgres`, or `root (sudo by alice)`; undefined when nobody can tell. */
export async function osUser(env: Environment): Promise<string | undefined> {
  const uid = Deno.uid();
  const name = await nameOf(uid) ?? (env["LOGNAME"] || env["USER"] || undefined);
  const user = name ?? (uid === null ? undefined : `uid ${uid}`);
  const before = env["SUDO_USER"];
  return user !== undefined && before ? `${user} (sudo by ${before})` : user;
}

/** From /etc/passwd: the variables say what their owner wants them to. */
async function nameOf(uid: number | null): Promise<string | undefined> {
  if (uid === null) return undefined;
  const text = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const lines = text.split("\n").map((line) => line.split(":"));
  return lines.find((fields) => fields[2] === String(uid))?.[0];
}
