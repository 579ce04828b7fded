import { mapLimited } from "../../domain/map_limited.ts";

/** As {@link mapLimited}; the first failure also ends the calls that are under way. */
export async function mapUntilFailure<Item, Result>(
  items: readonly Item[],
  { limit, signal, map }: {
    readonly limit: number;
    readonly signal: AbortSignal | undefined;
    readonly map: (item: Item, signal: AbortSignal, index: number) => Promise<Result>;
  },
): Promise<Result[]> {
  const failure = new AbortController();
  const any = AbortSignal.any(signal ? [signal, failure.signal] : [failure.signal]);
  return await mapLimited(items, limit, async (item, index) => {
    try {
      return await map(item, any, index);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
}
