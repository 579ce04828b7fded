/** A request as S3 understands it, and the errors that S3 answers. */
import type { Bytes } from "../../../src/domain/bytes.ts";
import type { HttpAnswer, HttpRequest } from "./http_connection.ts";

/** A request whose bucket and key are known and whose body is decoded. */
export interface S3Request {
  readonly method: string;
  readonly bucket: string;
  /** `""` for the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  /** Path and query as sent, for the signature. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: Bytes;
}

/** An answer of S3 that is no success (S3 API Reference, "Error responses"). */
export class S3Fault extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    override readonly message: string = code,
    readonly extra: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** Finds bucket and key, in the path or in the name of the host. */
export function parseRequest(http: HttpRequest, virtualHost: string | undefined): S3Request {
  const [path = "", query = ""] = splitOnce(http.target, "?");
  const host = (http.headers.get("host") ?? "").split(":")[0] ?? "";
  const inHost = virtualHost !== undefined && host.endsWith(`.${virtualHost}`);
  const rest = path.slice(1);
  const [first = "", ...others] = rest.split("/");
  const bucket = inHost ? host.slice(0, -virtualHost.length - 1) : decodeURIComponent(first);
  const key = inHost ? rest : others.join("/");
  return {
    method: http.method,
    bucket,
    key: decodeURIComponent(key),
    query: new URLSearchParams(query.replaceAll("+", "%2B")),
    target: http.target,
    headers: http.headers,
    body: http.body,
  };
}

/** An answer with an XML body. */
export function xmlAnswer(status: number, xml: string): HttpAnswer {
  const body = new TextEncoder().encode(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`);
  return { status, headers: { "content-type": "application/xml" }, body };
}

/** The answer that tells a fault. */
export function faultAnswer(fault: S3Fault): HttpAnswer {
  const extra = Object.entries(fault.extra).map(([name, value]) => element(name, value)).join("");
  return xmlAnswer(
    fault.status,
    `<Error>${element("Code", fault.code)}${element("Message", fault.message)}${extra}` +
      `${element("RequestId", "4442587FB7D0A2F9")}</Error>`,
  );
}

/** `<name>text</name>`, escaped. */
export function element(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`;
}

/** The texts of all elements of that name, in order; good enough for what the SDK sends. */
export function elements(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([\\s\\S]*?)</${name}>`, "g"))]
    .map(([, inner = ""]) => inner);
}

/** The text of the first element of that name. */
export function elementText(xml: string, name: string): string | undefined {
  const [inner] = elements(xml, name);
  return inner === undefined ? undefined : unescapeXml(inner);
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(#x[0-9a-fA-F]+|#\d+|\w+);/g, (_, name: string) => {
    if (name.startsWith("#x")) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return named[name] ?? "";
  });
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
