/** What an engine tells of a long run while it lasts. Never throws and never blocks. */
export interface Progress {
  /** A new step begins. `totalBytes` is an estimate, absent when nobody knows. */
  begin(step: string, totalBytes?: number): void;
  /** So many more bytes of the source (raw, before compression) are done. */
  advance(bytes: number): void;
  /** One line that people should read, such as why a method was chosen. */
  note(text: string): void;
}

/** For callers who do not want to hear. */
export const silentProgress: Progress = {
  begin: () => {},
  advance: () => {},
  note: () => {},
};
