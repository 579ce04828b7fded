import { RunFailedError } from "../domain/errors.ts";
import type { Removal } from "../engine/retention/prune_parts.ts";

/** Others may change the repository while somebody thinks about the question. */
type Shown = Pick<Removal, "remove" | "leftovers">;

/**
 * What is asked before a removal that somebody has agreed to.
 *
 * @throws {RunFailedError} when more would go than was agreed to.
 */
export function refuseOther({ remove, leftovers }: Shown, shown: Shown): true {
  const agreed = new Set([
    ...shown.remove.map(({ backup }) => backup.id),
    ...shown.leftovers.map(({ id }) => id),
  ]);
  const ids = [...remove.map(({ backup }) => backup.id), ...leftovers.map(({ id }) => id)];
  if (ids.every((id) => agreed.has(id))) return true;
  throw new RunFailedError(
    "the repository has changed since the plan was shown; nothing is removed",
    "run the command again",
  );
}
