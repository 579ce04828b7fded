/** Results in the order in which their work was begun, with a bounded number under way. */
export class InOrder<T> {
  readonly #pending: Promise<T>[] = [];
  readonly #limit: number;
  readonly #emit: (result: T) => void;

  constructor(limit: number, emit: (result: T) => void) {
    this.#limit = limit;
    this.#emit = emit;
  }

  /** Takes work that is under way; waits when there is much. @throws what the oldest failed with. */
  async push(result: Promise<T>): Promise<void> {
    result.catch(() => {}); // reported when its turn comes
    this.#pending.push(result);
    if (this.#pending.length > this.#limit) this.#emit(await this.#pending.shift()!);
  }

  /** Waits for the rest. */
  async end(): Promise<void> {
    for (const result of this.#pending.splice(0)) this.#emit(await result);
  }
}
