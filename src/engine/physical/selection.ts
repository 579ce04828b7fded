import type { TarMember } from "./tar_member.ts";

/** Which members of a backup's chunks are unpacked, and how. */
export interface Selection {
  /** These files and nothing else; absent: everything. */
  readonly only?: ReadonlySet<string>;
  /** Everything but these files. */
  readonly except?: ReadonlySet<string>;
  /** Whether files named `INCREMENTAL.*` hold pages of others, which are there already. */
  readonly patches: boolean;
}

/** What a restore of one full backup takes. */
export const EVERYTHING: Selection = { patches: false };

/** Whether `member` is to be unpacked. */
export function isSelected({ only, except }: Selection, { type, name }: TarMember): boolean {
  if (only) return type === "file" && only.has(name);
  return !(except?.has(name) ?? false);
}
