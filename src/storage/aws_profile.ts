import type { AwsCredentials } from "./sigv4.ts";

/**
 * Static keys of a profile in a shared credentials file. AWS SDKs and Tools Reference Guide, "Shared
 * config and credentials files". Undefined when it has none, or gets them in another way.
 */
export function profileCredentials(text: string, profile: string): AwsCredentials | undefined {
  const values = new Map<string, string>();
  let section = "";
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[\s*(?:profile\s+)?([^\]]+?)\s*\]/.exec(line);
    if (head) section = head[1]!;
    const pair = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line);
    if (pair && section === profile) values.set(pair[1]!, pair[2]!);
  }
  const id = values.get("aws_access_key_id");
  const secret = values.get("aws_secret_access_key");
  const token = values.get("aws_session_token");
  if (id === undefined || secret === undefined) return undefined;
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    ...(token !== undefined && { sessionToken: token }),
  };
}
