/**
 * What real servers are known to do otherwise than the contract of object stores asks, with the
 * reason. Everything else holds for the small server of the tests and for every server alike.
 *
 * @module
 */

/** The same reason for several tests. */
function each(reason: string, titles: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(titles.map((title) => [title, reason]));
}

/**
 * Titles of contract tests that are left out, by the name given as `?name=` in the server's URL.
 * versitygw 1.8 has none.
 */
export const S3_DIFFERENCES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // rclone 1.75.2, `rclone serve s3`
  rclone: {
    ...each("takes If-None-Match and If-Match of a write for nothing", [
      "put() with ifAbsent stores once",
      "put() with ifAbsent has one winner among 16",
      "put() with ifMatch replaces only the object of that etag",
      "put() with ifMatch has one winner among 8",
    ]),
    ...each("DeleteObjects of a key that is a folder on its disk is InternalError", [
      "delete() removes what is there and passes over what is not",
    ]),
  },
  // MinIO 2025, a single drive
  minio: each("refuses to list a prefix with a segment . or .. (XMinioInvalidResourceName)", [
    "list() of a prefix that nothing has is empty",
  ]),
};
