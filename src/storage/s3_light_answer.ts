/** Reading what S3 answers, without the SDK. Amazon S3 API Reference, "Error responses". */
import type { Bytes } from "../domain/bytes.ts";
import { StorageError } from "../domain/errors.ts";
import { type ByteRange, outsideError } from "./byte_range.ts";
import { ConnectionError } from "./light_response.ts";
import type { LightAnswer } from "./light_transport.ts";
import { S3Failure } from "./s3_failure.ts";
import type { ObjectInfo } from "./storage.ts";

/** Refusals that are longer say nothing more. */
const MAX_ERROR_LENGTH = 64 * 1024;

/** Takes a refusal apart, its body included. */
export async function readFailure(answer: LightAnswer): Promise<S3Failure> {
  const text = await readText(answer, MAX_ERROR_LENGTH).catch(() => "");
  const code = /<Code>([A-Za-z0-9._:]{1,100})<\/Code>/.exec(text)?.[1];
  return new S3Failure({
    $metadata: { httpStatusCode: answer.status },
    $response: { statusCode: answer.status, headers: Object.fromEntries(answer.headers) },
    Code: code ?? `HTTP ${answer.status}`,
    message: plain(/<Message>([^<]{1,300})/.exec(text)?.[1] ?? ""),
  });
}

/** A connection that broke, or never was. */
export function connectionFailure(error: Error): S3Failure {
  return new S3Failure(Object.assign(new Error(error.message), { code: codeOf(error) }));
}

/** The operating system's code for what a {@link ConnectionError} was caused by. */
function codeOf({ cause }: Error): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (typeof code === "string") return code;
  const isUnknownName = cause instanceof Error && /lookup address/.test(cause.message);
  return isUnknownName ? "ENOTFOUND" : "ECONNRESET";
}

/** Reads an answer of at most `limit` characters. @throws {ConnectionError} when it breaks off. */
export async function readText(answer: LightAnswer, limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for (let part = await answer.read(); part; part = await answer.read()) {
    text += decoder.decode(part, { stream: true });
    if (text.length <= limit) continue;
    answer.discard();
    throw new ConnectionError("the answer is too long", { answered: true });
  }
  return text;
}

/** The store's words as one line without anything that a terminal would obey. */
function plain(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x1f\x7f-\x9f]+/g, " ")
    .replace(/&quot;/g, '"').replace(/&apos;/g, "'").replace(/&amp;/g, "&");
}

/** @throws {StorageError} unless the answer begins where it was asked to. */
export function checkAnsweredRange(
  key: string,
  { answer, range }: { readonly answer: LightAnswer; readonly range: ByteRange },
): void {
  const start = /^bytes (\d+)-/.exec(answer.headers.get("content-range") ?? "")?.[1];
  // Some stores answer 200 with the part that was asked for.
  if (answer.status !== 416 && Number(start) === range[0]) return;
  answer.discard();
  if (answer.status === 416) throw outsideError(key, range);
  throw new StorageError(`the store answered with another range of object ${key} than asked for`);
}

/** The body of an answer; errors with a {@link StorageError} when it breaks off. */
export function bodyStream(
  key: string,
  answer: LightAnswer,
  signal: AbortSignal | undefined,
): ReadableStream<Bytes> {
  return answerStream(answer, (error) => {
    signal?.throwIfAborted();
    const reason = `reading object ${key} broke off: ${error.message}`;
    return new StorageError(reason, undefined, { cause: error });
  });
}

/** The body of an answer, read from the connection as it is asked for. */
export function answerStream(
  answer: LightAnswer,
  worded: (error: Error) => Error,
): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>({
    async pull(controller) {
      try {
        const part = await answer.read();
        if (part) controller.enqueue(part);
        else controller.close();
      } catch (error) {
        throw worded(error instanceof Error ? error : new Error(String(error)));
      }
    },
    cancel: () => answer.discard(),
  }, { highWaterMark: 0 });
}

/** What the head of an answer to HEAD says. */
export function infoOf(key: string, answer: LightAnswer): ObjectInfo {
  const size = Number(answer.headers.get("content-length") ?? NaN);
  if (!Number.isSafeInteger(size)) throw new ConnectionError("the answer has no length");
  const etag = answer.headers.get("etag");
  const time = Date.parse(answer.headers.get("last-modified") ?? "");
  const own = [...answer.headers].filter(([name]) => name.startsWith("x-amz-meta-"));
  return {
    ...{ key, size },
    ...(etag !== undefined && { etag }),
    ...(!Number.isNaN(time) && { lastModified: new Date(time) }),
    metadata: Object.fromEntries(own.map(([name, value]) => [name.slice(11), value])),
  };
}
