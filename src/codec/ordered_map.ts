/**
 * Maps chunks concurrently, at most `limit` at a time, and emits the results in input order. The
 * first failure, in input order, errors the stream; results behind it are dropped.
 */
export function orderedMap<I, O>(
  limit: number,
  map: (chunk: I) => Promise<O>,
): TransformStream<I, O> {
  const pending: Promise<O>[] = [];
  return new TransformStream<I, O>({
    async transform(chunk, controller) {
      const result = map(chunk);
      result.catch(() => {}); // reported when its turn comes
      pending.push(result);
      if (pending.length < limit) return;
      const oldest = pending.shift();
      if (oldest) controller.enqueue(await oldest);
    },
    async flush(controller) {
      for (const result of pending.splice(0)) controller.enqueue(await result);
    },
  });
}
