import http from "node:http";
import type { HttpAnswer } from "./http_connection.ts";
import type { S3Request } from "./s3_request.ts";

/** Names of this connection alone (RFC 9110, section 7.6.1), and what is said of the body anew. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "expect",
]);

/**
 * Asks a real server, as the request was signed: `Host` names the one that was asked first.
 *
 * @param origin such as `http://127.0.0.1:9000`.
 */
export async function forward(request: S3Request, origin: string): Promise<HttpAnswer> {
  const { hostname, port } = new URL(origin);
  const sent = new Headers([...request.headers].filter(([name]) => !OWN_HEADERS.has(name)));
  const headers = { ...Object.fromEntries(sent), "content-length": request.body.length };
  const { method, target: path } = request;
  const answered = Promise.withResolvers<http.IncomingMessage>();
  const asking = http.request(
    { hostname, port, method, path, headers, agent: false, setHost: false },
    answered.resolve,
  );
  asking.on("error", answered.reject);
  asking.end(request.body);
  const answer = await answered.promise;
  const parts: Uint8Array[] = [];
  for await (const part of answer) parts.push(part);
  const told = Object.entries(answer.headers).filter(([name]) =>
    !OWN_HEADERS.has(name) || (name === "content-length" && method === "HEAD")
  );
  return {
    status: answer.statusCode ?? 502,
    headers: Object.fromEntries(told.map(([name, value]) => [name, String(value)])),
    body: new Uint8Array(Buffer.concat(parts)),
  };
}
