/**
 * Removes a folder with everything in it. A server that was started from it, or whoever was left by
 * a run that was killed, may still write there for a moment.
 */
export async function removeTree(folder: string): Promise<void> {
  for (let turn = 1;; turn++) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound && turn > 1) return;
      if (turn === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
