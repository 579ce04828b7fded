import type { BackupParts, IncrementalSource } from "../../parts.ts";
import type { ServerIdentity } from "../../../postgres/postgres.ts";
import { serverIncrements } from "./server_increments.ts";

/** The ways to find what changed, the best first. */
const SOURCES: readonly IncrementalSource[] = [serverIncrements];

/** The first way that is open, or why all of them are closed. */
export async function openIncrementalSource(
  parts: BackupParts,
  identity: ServerIdentity,
): Promise<IncrementalSource | { readonly because: string }> {
  const reasons: string[] = [];
  for (const source of SOURCES) {
    const reason = await source.whyNot(parts, identity);
    if (reason === undefined) return source;
    reasons.push(reason);
  }
  return { because: reasons.join("; ") };
}
