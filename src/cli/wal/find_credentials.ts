import type { Environment } from "../../config/environment_layer.ts";
import { ConfigError } from "../../domain/errors.ts";
import { profileCredentials } from "../../storage/aws_profile.ts";
import type { AwsCredentials } from "../../storage/sigv4.ts";

/**
 * Keys that the configuration does not hold: a profile's own, read here; else the SDK's chain (web
 * identity, container, instance, sign-on), which is loaded only then.
 *
 * @returns asked before each request; with `renew` after the store called the last ones expired.
 */
export function findCredentials(
  env: Environment,
  region: string | undefined,
): (renew: boolean) => Promise<AwsCredentials> {
  let found: Promise<AwsCredentials> | undefined;
  return (renew) => {
    if (renew) found = undefined;
    found ??= Promise.resolve(ownProfile(env) ?? chain(region));
    return found;
  };
}

function ownProfile(env: Environment): AwsCredentials | undefined {
  const home = env["HOME"];
  const path = env["AWS_SHARED_CREDENTIALS_FILE"] || (home && `${home}/.aws/credentials`);
  if (!path) return undefined;
  try {
    return profileCredentials(Deno.readTextFileSync(path), env["AWS_PROFILE"] || "default");
  } catch {
    return undefined; // the chain says what is missing
  }
}

async function chain(region: string | undefined): Promise<AwsCredentials> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const client = new S3Client(region === undefined ? {} : { region });
  try {
    const { accessKeyId, secretAccessKey, sessionToken } = await client.config.credentials();
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(
      `no credentials for the bucket were found: ${reason}`,
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role",
      { cause },
    );
  } finally {
    client.destroy();
  }
}
