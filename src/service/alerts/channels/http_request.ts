/**
 * One HTTP request to a receiver of alerts: to an address that was checked, without redirects,
 * within a time, and with messages that name nothing but scheme, host and status, since the path
 * of a webhook is often its secret.
 *
 * @module
 */
import { DeliveryError } from "../delivery_error.ts";
import { exchange } from "./http_exchange.ts";
import { type Resolver, targetAddresses } from "./target_address.ts";

/** Milliseconds for one request, name and handshake included. */
const PATIENCE_MS = 10_000;
/** Errors before anything was sent: another address of the same name may answer. */
const NOT_CONNECTED = new Set(["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL"]);

/** What is sent. */
export interface AlertRequest {
  readonly method: "POST" | "GET";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** How it is sent. */
export interface RequestOptions {
  /** Certificates that are trusted besides the system's, in PEM. */
  readonly ca?: string;
  /** @default {10000} */
  readonly timeoutMs?: number;
  /** For tests. */
  readonly resolver?: Resolver;
  readonly signal?: AbortSignal;
}

/** What the receiver said. */
export interface AlertAnswer {
  readonly status: number;
  /** Milliseconds, from Retry-After. */
  readonly retryAfterMs: number | undefined;
}

/**
 * Sends a request; 2xx is success, anything else is not.
 *
 * @throws {DeliveryError}
 */
export async function sendRequest(
  url: URL,
  request: AlertRequest,
  options: RequestOptions = {},
): Promise<AlertAnswer> {
  const { timeoutMs = PATIENCE_MS, signal } = options;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late(url, timeoutMs)), timeoutMs);
  const limit = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  try {
    const answer = await toAnyAddress(url, request, { ...options, signal: limit });
    return accepted(url, answer);
  } catch (error) {
    if (limit.aborted) throw asDeliveryError(url, limit.reason);
    throw asDeliveryError(url, error);
  } finally {
    clearTimeout(timer);
  }
}

function late(url: URL, timeoutMs: number): DeliveryError {
  return new DeliveryError(`${placeOf(url)} did not answer within ${timeoutMs / 1000} s`);
}

/** `https://hooks.example.com`: all of an address that may be shown. */
export function placeOf(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

async function toAnyAddress(
  url: URL,
  request: AlertRequest,
  options: RequestOptions & { readonly signal: AbortSignal },
): Promise<AlertAnswer> {
  const addresses = await targetAddresses(url.hostname, options);
  let last: unknown;
  for (const address of addresses) {
    try {
      const { method, headers, body = "" } = request;
      const { ca, signal } = options;
      const head = await exchange({
        ...{ url, method, headers, body, address, signal },
        ...(ca !== undefined && { ca }),
      });
      return { status: head.status, retryAfterMs: retryAfter(head.headers.get("retry-after")) };
    } catch (error) {
      last = error;
      if (!NOT_CONNECTED.has(codeOf(error))) throw error;
    }
  }
  throw last;
}

/** Seconds; a date is left to the queue's own patience. RFC 9110, 10.2.3. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined || !/^\d{1,6}$/.test(value)) return undefined;
  return Number(value) * 1000;
}

/** @throws {DeliveryError} for anything but 2xx. */
function accepted(url: URL, answer: AlertAnswer): AlertAnswer {
  const { status, retryAfterMs } = answer;
  if (status >= 200 && status < 300) return answer;
  if (status >= 300 && status < 400) {
    throw new DeliveryError(`${placeOf(url)} answered ${status}, a redirect`, {
      hint: "redirects are not followed; configure the address that it leads to",
      refused: true,
    });
  }
  const refused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  throw new DeliveryError(`${placeOf(url)} answered ${status}`, {
    ...(refused && { hint: "are the address and the secret right?" }),
    refused,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

function asDeliveryError(url: URL, error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const reason = reasonOf(error);
  return new DeliveryError(`${placeOf(url)} cannot be reached: ${reason}`, {
    ...(/certificate|altnames|self.signed|CERT_|verify/i.test(`${reason} ${codeOf(error)}`) && {
      hint: "name its authority with ca_file, or give the receiver a certificate of its name",
    }),
    cause: error,
  });
}

/** The reason alone; Node's messages name addresses and ports besides. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/ \(os error.*$/s, "").slice(0, 200) || "the connection broke";
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | null)?.code ?? "");
}
