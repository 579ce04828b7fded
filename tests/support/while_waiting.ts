/** What came of a run, and how often it waited. */
export interface Waited<T> {
  readonly waits: number;
  readonly value?: T;
  readonly error?: unknown;
}

/** Ends every wait at once, after `act` has happened. */
export async function whileWaiting<T>(
  act: (wait: number) => void,
  run: () => Promise<T>,
): Promise<Waited<T>> {
  const { setTimeout } = globalThis;
  let waits = 0;
  const at = (then: () => void) => {
    act(++waits);
    return setTimeout(then, 0);
  };
  try {
    Object.assign(globalThis, { setTimeout: at });
    const result = await run().then((value) => ({ value }), (error) => ({ error }));
    return { waits, ...result };
  } finally {
    Object.assign(globalThis, { setTimeout });
  }
}
