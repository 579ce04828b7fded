/**
 * Messages of the frontend/backend protocol 3.0. PostgreSQL docs, "Message Formats".
 *
 * @module
 */
import type { Bytes } from "../../domain/bytes.ts";
import { PostgresError } from "../../domain/errors.ts";
import type { ServerMessage } from "../server_errors.ts";

/** 3.0. */
const PROTOCOL = 196608;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The first byte of the server's messages. */
export const MESSAGE = {
  authentication: code("R"),
  parameterStatus: code("S"),
  backendKey: code("K"),
  negotiateVersion: code("v"),
  ready: code("Z"),
  error: code("E"),
  notice: code("N"),
  rowDescription: code("T"),
  dataRow: code("D"),
  commandComplete: code("C"),
  emptyQuery: code("I"),
  copyIn: code("G"),
  copyOut: code("H"),
  copyData: code("d"),
  copyDone: code("c"),
} as const;

/** The StartupMessage with its parameters. */
export function startupMessage(parameters: Readonly<Record<string, string>>): Bytes {
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`).join("");
  const body = encoder.encode(`${text}\0`);
  const bytes = new Uint8Array(8 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length);
  view.setUint32(4, PROTOCOL);
  bytes.set(body, 8);
  return bytes;
}

/** A simple Query. */
export function queryMessage(text: string): Bytes {
  return framed("Q", encoder.encode(`${text}\0`));
}

/** A PasswordMessage: clear text, or the MD5 answer. */
export function passwordMessage(password: string): Bytes {
  return framed("p", encoder.encode(`${password}\0`));
}

/** SASLInitialResponse. */
export function saslInitialMessage(mechanism: string, response: string): Bytes {
  const name = encoder.encode(`${mechanism}\0`);
  const data = encoder.encode(response);
  const body = new Uint8Array(name.length + 4 + data.length);
  body.set(name);
  new DataView(body.buffer).setInt32(name.length, data.length);
  body.set(data, name.length + 4);
  return framed("p", body);
}

/** SASLResponse. */
export function saslMessage(response: string): Bytes {
  return framed("p", encoder.encode(response));
}

/** CopyData. */
export function copyDataMessage(data: Bytes): Bytes {
  return framed("d", data);
}

/** CopyDone. */
export function copyDoneMessage(): Bytes {
  return framed("c", new Uint8Array(0));
}

/** Terminate. */
export function terminateMessage(): Bytes {
  return framed("X", new Uint8Array(0));
}

function framed(type: string, body: Uint8Array): Bytes {
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = code(type);
  new DataView(bytes.buffer).setUint32(1, 4 + body.length);
  bytes.set(body, 5);
  return bytes;
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}

/** Texts that end with a zero byte, one after the other; what follows the last zero is dropped. */
export function zeroTerminated(body: Bytes): string[] {
  return decoder.decode(body).split("\0").slice(0, -1);
}

/** The fields of an ErrorResponse or NoticeResponse. */
export function serverMessage(body: Bytes): ServerMessage {
  const fields = new Map(zeroTerminated(body).map((text) => [text.slice(0, 1), text.slice(1)]));
  const detail = fields.get("D");
  const hint = fields.get("H");
  return {
    severity: fields.get("V") ?? fields.get("S") ?? "ERROR",
    code: fields.get("C") ?? "XX000",
    message: fields.get("M") ?? "no message",
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
  };
}

/**
 * The values of a DataRow as text.
 *
 * @throws {PostgresError} when lengths point outside of the message.
 */
export function dataRow(body: Bytes): (string | null)[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const values: (string | null)[] = [];
  let offset = 2;
  for (let count = body.length < 2 ? -1 : view.getUint16(0); count !== 0; count--) {
    const length = offset + 4 <= body.length && count > 0 ? view.getInt32(offset) : body.length;
    offset += 4;
    if (offset + length > body.length) throw new PostgresError("a row arrived that is cut short");
    values.push(length < 0 ? null : decoder.decode(body.subarray(offset, offset + length)));
    offset += Math.max(length, 0);
  }
  return values;
}
