/** The user that restored files belong to. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}
