/**
 * The small server in a process of its own, for tests that measure memory. Keeps lengths only.
 * Arguments: none, or certificate and key in PEM. Prints its endpoint, ends when stdin ends.
 */
import { S3Server } from "./s3_server.ts";

const [cert, key] = Deno.args;
await using server = S3Server.start({
  keepBodies: false,
  minPartBytes: 5 * 1024 ** 2,
  tls: cert === undefined || key === undefined ? undefined : { cert, key },
});
await Deno.stdout.write(new TextEncoder().encode(`${server.endpoint}\n`));
await Deno.stdin.read(new Uint8Array(1));
