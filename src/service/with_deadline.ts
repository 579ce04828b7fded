/**
 * Does `work` with a signal that is given after `limit` milliseconds, and waits no longer.
 *
 * @throws `late()` when it takes longer; what `work` throws.
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { limit, late, signal: outer }: {
    readonly limit: number;
    readonly late: () => Error;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<T> {
  const controller = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  const end = (reason: unknown) => {
    controller.abort(reason);
    reject(reason);
  };
  const onAbort = () => end(outer!.reason);
  const timer = setTimeout(() => end(late()), limit);
  outer?.addEventListener("abort", onAbort, { once: true });
  if (outer?.aborted) onAbort();
  try {
    const result = work(controller.signal);
    result.catch(() => {}); // after the deadline nobody waits for it
    return await Promise.race([result, over]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", onAbort);
  }
}
