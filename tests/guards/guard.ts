/** A guard of the program, and the test that misses it. */
export interface Guard {
  /** What is made sure of, as a sentence of the specification. */
  readonly name: string;
  /** From the project's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly text: string;
  /** The same without the guard; it must still be a program. */
  readonly replacement: string;
  /** The file of tests that must go red. */
  readonly test: string;
  /** Only its tests with such titles: plain text, as `deno test --filter` takes it. */
  readonly filter?: string;
}
