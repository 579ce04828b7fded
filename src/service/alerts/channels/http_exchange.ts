/**
 * One request and the head of its answer over one HTTP/1.1 connection (RFC 9112) to an address that
 * was chosen before. The status is all that counts for alerts, so nothing behind the head is read.
 *
 * @module
 */
import type { TargetAddress } from "./target_address.ts";

/** What is sent, and where to. */
export interface Exchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly address: TargetAddress;
  /** Certificates that are trusted besides the system's, in PEM. */
  readonly ca?: string;
  readonly signal: AbortSignal;
}

/** The head of an answer. */
export interface AnswerHead {
  readonly status: number;
  /** By lower-case name; the first one of a name. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Bytes of a head at most. */
const HEAD_BYTES = 16 * 1024;

/** Sends the request. @throws {Error} the connection's, or the signal's reason. */
export async function exchange(request: Exchange): Promise<AnswerHead> {
  const { signal } = request;
  signal.throwIfAborted();
  const connection = await open(request);
  const close = () => closeQuietly(connection);
  signal.addEventListener("abort", close, { once: true });
  try {
    await writeAll(connection, requestBytes(request));
    return await readHead(connection);
  } finally {
    signal.removeEventListener("abort", close);
    close();
  }
}

async function open(
  { url, address, ca, signal }: Exchange,
): Promise<Deno.Conn> {
  const secure = url.protocol === "https:";
  const port = Number(url.port || (secure ? 443 : 80));
  const plain = await within(Deno.connect({ hostname: address.address, port }), signal);
  if (!secure) return plain;
  // The certificate must be of what was configured, be it a name or an address.
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const starting = Deno.startTls(plain, { hostname, ...(ca !== undefined && { caCerts: [ca] }) });
  const connection = await within(starting, signal);
  try {
    await within(connection.handshake(), signal, () => closeQuietly(connection));
    return connection;
  } catch (error) {
    closeQuietly(connection);
    throw error;
  }
}

/** Waits no longer than the signal allows; a connection that is there too late is closed. */
async function within<T>(
  work: Promise<T>,
  signal: AbortSignal,
  onAbort: () => void = () => void work.then(closeLate, () => {}),
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => {
    onAbort();
    reject(signal.reason);
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => {}); // nobody waits for it any more
  }
}

function closeLate(connection: unknown): void {
  closeQuietly(connection as Deno.Conn);
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

function requestBytes({ url, method, headers, body }: Exchange): Uint8Array {
  const content = new TextEncoder().encode(body);
  const fields = {
    host: url.host,
    "user-agent": "backupctl",
    "connection": "close",
    ...headers,
    ...(method === "GET" ? {} : { "content-length": String(content.length) }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${fieldValue(value)}\r\n`);
  const head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join("")}\r\n`;
  const start = new TextEncoder().encode(head);
  const bytes = new Uint8Array(start.length + content.length);
  bytes.set(start);
  bytes.set(content, start.length);
  return bytes;
}

/** A secret with a line feed in it must not start a field of its own. */
function fieldValue(value: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  return value.replace(/[\u0000-\u001f\u007f]/g, "");
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
}

/** The first head that is an answer: those of 1xx announce it. */
async function readHead(connection: Deno.Conn): Promise<AnswerHead> {
  const buffer = new Uint8Array(HEAD_BYTES);
  let length = 0;
  while (length < buffer.length) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null) throw new Error("the connection was closed without an answer");
    length += count;
    const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    const answer = parseHeads(text);
    if (answer) return answer;
  }
  throw new Error("the answer is no HTTP");
}

function parseHeads(text: string): AnswerHead | undefined {
  const parts = text.split("\r\n\r\n");
  for (const part of parts.slice(0, -1)) {
    const [first = "", ...lines] = part.split("\r\n");
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error("the answer is no HTTP");
    if (status < 200) continue;
    const headers = new Map(
      lines.map((line) => /^([^:]+):[ \t]*(.*?)[ \t]*$/.exec(line))
        .filter((match) => match !== null)
        .map(([, name, value]) => [name!.toLowerCase(), value!] as const)
        .toReversed(),
    );
    return { status, headers };
  }
  if (!/^H(T(T(P(\/|$)|$)|$)|$)/.test(text.slice(0, 5))) throw new Error("the answer is no HTTP");
  return undefined;
}
