/** Where a listener listens. */
export interface ListenAddress {
  /** Without the brackets of an IPv6 address. */
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
}

/** Why pages must not be shown as they are set up, and what to do. */
export interface ListenFault {
  /** Whether the token is at fault, and not the address. */
  readonly ofToken: boolean;
  /** Continues the name of what is at fault. */
  readonly what: string;
  readonly hint: string;
}

/** Characters of a token at least: shorter ones can be guessed. */
const SHORTEST_TOKEN = 16;

/** `[::1]:9187` → `::1` and 9187; undefined when it is no address with a port. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, name, digits = ""] =
    /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const hostname = bracketed ?? name;
  const port = Number(digits);
  return hostname === undefined || port > 65_535 ? undefined : { hostname, port };
}

/** Whether only this machine can reach an address. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Whoever can reach the pages from another machine needs a token that cannot be guessed. */
export function listenFault(
  { hostname, token }: { readonly hostname?: string; readonly token?: string },
): ListenFault | undefined {
  if (token !== undefined && token.length < SHORTEST_TOKEN) {
    return {
      ofToken: true,
      what: `has ${token.length} characters; it needs ${SHORTEST_TOKEN}`,
      hint: "openssl rand -hex 24 makes a good one",
    };
  }
  if (hostname === undefined || isLoopback(hostname) || token !== undefined) return undefined;
  return {
    ofToken: false,
    what: "can be reached from other machines, and listen_token is not set",
    hint: "set listen_token_file to a file with a token, or listen on 127.0.0.1",
  };
}
