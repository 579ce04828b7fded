import type { SignedLink } from "./signed_statement.ts";

/** Every signed backup of a system that is known of. */
export interface SignedChain {
  /** Those that are there, with what each of them says came before it. */
  readonly present: readonly (SignedLink & { readonly previous: readonly SignedLink[] })[];
  /** Those of which a signature says that they were removed. */
  readonly removed: readonly SignedLink[];
}

/** What is signed and not there. */
export interface ChainGaps {
  /** The highest number that a signature names; 0 when there is none. */
  readonly highest: number;
  /** The backup of that number, when it is there. */
  readonly newest: SignedLink | undefined;
  /** Numbers that belong to no backup that is there, and no signature says that it was removed. */
  readonly missing: readonly number[];
  /** Of those backups, the ones that others name. */
  readonly missingIds: readonly string[];
}

/** What the signatures of one system tell. */
export interface ChainAudit extends ChainGaps {
  /** PostgreSQL's, in decimal. */
  readonly systemIdentifier: string;
  /** Backups that are there and signed. */
  readonly signed: number;
  /** This machine has seen this one, later than all that is there: the repository is an old state. */
  readonly rolledBack?: SignedLink;
}

/** What a machine remembers of the newest signed backup that it saw: nobody can roll that back. */
export interface ChainMemory {
  /** Undefined: none. Never throws. */
  newest(systemIdentifier: string): Promise<SignedLink | undefined>;
  /** Keeps it when its number is the highest. Never throws: it is only a help. */
  remember(systemIdentifier: string, link: SignedLink): Promise<void>;
}

/** The next number, and the backups that no other one names yet: usually the newest alone. */
export function nextLink(
  { present, removed }: SignedChain,
  remembered: SignedLink | undefined,
): { readonly sequence: number; readonly previous: readonly SignedLink[] } {
  const named = new Set(present.flatMap(({ previous }) => previous.map(({ id }) => id)));
  const gone = [...removed, ...(remembered ? [remembered] : [])];
  const highest = numberOf([...present, ...gone]);
  const heads = present.filter(({ id }) => !named.has(id));
  const isKnown = [...present, ...removed].some(({ id }) => id === remembered?.id);
  return {
    sequence: highest + 1,
    previous: [
      ...heads,
      ...(remembered && !isKnown && !named.has(remembered.id) ? [remembered] : []),
    ]
      .map(({ id, sequence, sha256 }) => ({ id, sequence, sha256 })),
  };
}

/**
 * What of a chain is not there. Two hosts may give one number to two backups that begin at the same
 * time; both are named by the next one, so that neither can be hidden.
 */
export function findGaps({ present, removed }: SignedChain): ChainGaps {
  const named = present.flatMap(({ previous }) => previous);
  const highest = numberOf([...present, ...named, ...removed]);
  const known = new Set([...present, ...removed].map(({ id }) => id));
  const numbers = new Set([...present, ...removed].map(({ sequence }) => sequence));
  const lost = named.filter(({ id }) => !known.has(id));
  const missing = new Set(lost.map(({ sequence }) => sequence));
  for (let number = 1; number <= highest; number++) if (!numbers.has(number)) missing.add(number);
  return {
    highest,
    newest: present.find(({ sequence }) => sequence === highest),
    missing: [...missing].sort((a, b) => a - b),
    missingIds: [...new Set(lost.map(({ id }) => id))].sort(),
  };
}

function numberOf(links: readonly SignedLink[]): number {
  return links.reduce((most, { sequence }) => Math.max(most, sequence), 0);
}
