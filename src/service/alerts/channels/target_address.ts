/**
 * Where a message may go to. An address on the local link, where clouds keep the credentials of
 * the machine, is never contacted, whatever name leads there; names are resolved once, and what
 * was checked is what is connected to.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { orAborted } from "../../../domain/or_aborted.ts";
import { DeliveryError } from "../delivery_error.ts";

/** An address that may be connected to. */
export interface TargetAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Answers with every address of a name, as getaddrinfo(3) does. */
export type Resolver = (name: string) => Promise<readonly TargetAddress[]>;

/**
 * Link-local (RFC 3927, RFC 4291 2.5.6), "this network" (RFC 1122), multicast and broadcast, and
 * the addresses outside of these where AWS (IPv6) and Alibaba Cloud serve instance metadata.
 */
const FORBIDDEN = new BlockList();
FORBIDDEN.addSubnet("169.254.0.0", 16, "ipv4");
FORBIDDEN.addSubnet("0.0.0.0", 8, "ipv4");
FORBIDDEN.addSubnet("224.0.0.0", 4, "ipv4");
FORBIDDEN.addAddress("255.255.255.255", "ipv4");
FORBIDDEN.addAddress("100.100.100.200", "ipv4");
FORBIDDEN.addSubnet("fe80::", 10, "ipv6");
FORBIDDEN.addSubnet("ff00::", 8, "ipv6");
FORBIDDEN.addAddress("::", "ipv6");
FORBIDDEN.addAddress("fd00:ec2::254", "ipv6");

/** Prefixes of IPv6 whose last 32 bits are an address of IPv4: mapped, and NAT64 (RFC 6052). */
const EMBEDDING = new BlockList();
EMBEDDING.addSubnet("::ffff:0:0", 96, "ipv6");
EMBEDDING.addSubnet("::", 96, "ipv6");
EMBEDDING.addSubnet("64:ff9b::", 96, "ipv6");

const resolveByName: Resolver = async (name) =>
  (await lookup(name, { all: true })).map(({ address, family }) => ({
    address,
    family: family === 6 ? 6 : 4,
  }));

/**
 * The addresses of a host that may be connected to, in the resolver's order.
 *
 * @throws {DeliveryError} when there are none.
 */
export async function targetAddresses(
  host: string,
  { resolver = resolveByName, signal }: {
    readonly resolver?: Resolver;
    readonly signal?: AbortSignal;
  } = {},
): Promise<readonly TargetAddress[]> {
  const name = host.replace(/^\[|\]$/g, "");
  const found = await addressesOf(name, { resolver, ...(signal && { signal }) });
  const allowed = found.filter(({ address, family }) => !isForbidden(address, family));
  if (allowed.length > 0) return allowed;
  if (found.length === 0) throw new DeliveryError(`${name} has no address`);
  throw new DeliveryError(
    `${name} is ${found[0]!.address}, which alerts are never sent to`,
    { hint: "link-local addresses are where clouds keep credentials; use another address" },
  );
}

/** Whether nothing may ever be sent there. */
export function isForbidden(address: string, family: 4 | 6): boolean {
  if (family === 4) return FORBIDDEN.check(address, "ipv4");
  const bare = address.replace(/%.*$/, "");
  if (FORBIDDEN.check(bare, "ipv6")) return true;
  if (!EMBEDDING.check(bare, "ipv6")) return false;
  const embedded = embeddedIpv4(bare);
  return embedded !== undefined && !isLoopback6(bare) && FORBIDDEN.check(embedded, "ipv4");
}

function isLoopback6(address: string): boolean {
  return URL.parse(`http://[${address}]/`)?.hostname === "[::1]";
}

/** The last 32 bits, as IPv4 writes them. */
function embeddedIpv4(address: string): string | undefined {
  // The URL parser writes every IPv6 address in one way: groups in hexadecimal.
  const text = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1);
  const [low = "0", high = "0"] = (text ?? "").split(":").toReversed();
  const groups = [high, low].map((group) => parseInt(group || "0", 16));
  if (groups.some(Number.isNaN)) return undefined;
  return groups.flatMap((group) => [group >> 8, group & 255]).join(".");
}

async function addressesOf(
  name: string,
  { resolver, signal }: { readonly resolver: Resolver; readonly signal?: AbortSignal },
): Promise<readonly TargetAddress[]> {
  const family = isIP(name);
  if (family === 4 || family === 6) return [{ address: name, family }];
  signal?.throwIfAborted();
  try {
    return await orAborted(resolver(name), signal);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new DeliveryError(`the name ${name} cannot be resolved`, {
      hint: "is it spelt right, and does this machine reach its name server?",
      cause: error,
    });
  }
}
