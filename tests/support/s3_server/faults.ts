/** What a test makes the server do wrong, and which requests it happens to. */
import type { S3Request } from "./s3_request.ts";

/** Which requests a rule is for: all conditions that are given must hold. */
export interface FaultMatch {
  readonly method?: string;
  readonly key?: RegExp;
  /** A query parameter that must be there: `partNumber`, `uploads`, `uploadId`, `list-type`. */
  readonly query?: string;
  /** A query parameter that must not be there. */
  readonly notQuery?: string;
  /** Only the n-th of the requests that match otherwise, counted from 1. */
  readonly nth?: number;
  /** Only the first so many of them. */
  readonly first?: number;
  /** Of those, only this share, drawn with the server's seed. */
  readonly probability?: number;
}

/** What happens to a request that a rule is for. */
export type FaultAction =
  /** An error before anything is done. `body` replaces the XML, as a proxy's page does. */
  | {
    readonly kind: "error";
    readonly status: number;
    readonly code: string;
    readonly message?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly extra?: Readonly<Record<string, string>>;
    readonly body?: string;
  }
  /** Status 200 with `<Error>`: nothing was done. */
  | { readonly kind: "error in 200"; readonly code: string }
  /** Done, but the body of the answer is replaced. */
  | { readonly kind: "body"; readonly body: string }
  /** Done, after blanks that keep the connection alive. */
  | { readonly kind: "keep alive" }
  /** Done, but the connection is closed without an answer. */
  | { readonly kind: "lost answer" }
  /** Closed without doing anything. */
  | { readonly kind: "refused" }
  /** No answer until the server is closed; nothing is done. */
  | { readonly kind: "hang" }
  /** The whole Content-Length is announced, so many bytes are sent. */
  | { readonly kind: "truncate"; readonly bytes: number }
  /** So many bytes are sent, then nothing more, until the server is closed. */
  | { readonly kind: "stall"; readonly bytes: number }
  /** The whole object instead of the part that was asked for. */
  | { readonly kind: "ignore range" }
  | { readonly kind: "close after headers" }
  | { readonly kind: "flip byte"; readonly at: number }
  /** A listing without the newest objects. */
  | { readonly kind: "stale list"; readonly hide: number }
  | { readonly kind: "drip"; readonly bytesPerSecond: number }
  | { readonly kind: "no etag" }
  /** The request is carried out twice, as a network may do. */
  | { readonly kind: "twice" };

/** One thing that goes wrong. */
export interface FaultRule {
  readonly match: FaultMatch;
  readonly action: FaultAction;
}

/** The rules with their counters. */
export class Faults {
  readonly #rules: { readonly rule: FaultRule; seen: number }[] = [];
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  add(rule: FaultRule): void {
    this.#rules.push({ rule, seen: 0 });
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** What is to go wrong with this request, if anything: the first rule that fits. */
  choose(request: S3Request): FaultAction | undefined {
    for (const entry of this.#rules) {
      if (!fits(entry.rule.match, request)) continue;
      entry.seen += 1;
      const { nth, first, probability } = entry.rule.match;
      if (nth !== undefined && entry.seen !== nth) continue;
      if (first !== undefined && entry.seen > first) continue;
      if (probability !== undefined && this.#random() >= probability) continue;
      return entry.rule.action;
    }
  }
}

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function fits({ method, key, query, notQuery }: FaultMatch, request: S3Request): boolean {
  if (method !== undefined && request.method !== method) return false;
  if (key !== undefined && !key.test(request.key)) return false;
  if (query !== undefined && !request.query.has(query)) return false;
  return notQuery === undefined || !request.query.has(notQuery);
}
