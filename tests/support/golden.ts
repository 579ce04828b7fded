import assert from "node:assert/strict";
import { PROJECT_ROOT } from "./paths.ts";

/**
 * Compares a text with the file of tests/golden that keeps it; writes it instead when
 * BACKUPCTL_TEST_WRITE_GOLDEN is set.
 */
export async function checkGolden(name: string, text: string): Promise<void> {
  const path = `${PROJECT_ROOT}tests/golden/${name}`;
  if (Deno.env.get("BACKUPCTL_TEST_WRITE_GOLDEN")) return await Deno.writeTextFile(path, text);
  assert.equal(text, await Deno.readTextFile(path), name);
}
