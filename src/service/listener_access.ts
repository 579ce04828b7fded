import { createHash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "../domain/listen_address.ts";

/** Whether the Host header names this machine: a name that another site resolves here does not. */
export function hostAllowed(request: Request): boolean {
  const { hostname } = new URL(request.url);
  return isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));
}

/**
 * Whether a request brings the token: as `Bearer`, or as the password of `Basic` with any name,
 * which browsers can send. Compared by hashes, in constant time.
 */
export function tokenAllowed(request: Request, token: string): boolean {
  const given = givenToken(request.headers.get("authorization") ?? "");
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

function givenToken(header: string): string | undefined {
  const [, scheme = "", value = ""] = /^(\w+) +(\S+)$/.exec(header) ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  if (scheme.toLowerCase() !== "basic") return undefined;
  try {
    const decoded = new TextDecoder().decode(Uint8Array.fromBase64(value));
    const colon = decoded.indexOf(":");
    return colon < 0 ? undefined : decoded.slice(colon + 1);
  } catch {
    return undefined;
  }
}

function digest(value: string): Uint8Array {
  return createHash("sha256").update(value).digest();
}
