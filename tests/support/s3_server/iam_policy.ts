/**
 * What a policy of IAM allows, for the few forms that our policy files have. IAM User Guide,
 * "Policy evaluation logic"; Service Authorization Reference, "Actions, resources, and condition
 * keys for Amazon S3".
 *
 * @module
 */
import type { S3Request } from "./s3_request.ts";

type OneOrMore = string | readonly string[];

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: OneOrMore;
  readonly Resource: OneOrMore;
  readonly Condition?: { readonly StringLike: { readonly "s3:prefix": OneOrMore } };
}

/** What of a request decides. */
export type PolicyRequest = Pick<S3Request, "method" | "bucket" | "key" | "query">;

/** A policy file. */
export class IamPolicy {
  /** Every action that some statement names. */
  readonly actions: ReadonlySet<string>;
  readonly #statements: readonly Statement[];

  /** @param text the JSON of the file. */
  constructor(text: string) {
    this.#statements = JSON.parse(text).Statement;
    this.actions = new Set(this.#statements.flatMap(({ Action }) => listOf(Action)));
  }

  /** Whether a statement allows the request and none denies it. */
  allows(request: PolicyRequest): boolean {
    const fitting = this.#statements.filter((statement) => fits(statement, request));
    return fitting.length > 0 && fitting.every(({ Effect }) => Effect === "Allow");
  }
}

/** The action of IAM that a request needs. */
export function actionOf({ method, key, query }: PolicyRequest): string {
  if (key === "") {
    if (method === "POST" && query.has("delete")) return "s3:DeleteObject";
    return query.has("uploads") ? "s3:ListBucketMultipartUploads" : "s3:ListBucket";
  }
  if (query.has("uploadId") && method === "DELETE") return "s3:AbortMultipartUpload";
  if (query.has("uploadId") && method === "GET") return "s3:ListMultipartUploadParts";
  if (method === "PUT" || method === "POST") return "s3:PutObject";
  return method === "DELETE" ? "s3:DeleteObject" : "s3:GetObject";
}

function fits({ Action, Resource, Condition }: Statement, request: PolicyRequest): boolean {
  const { bucket, key, query } = request;
  const action = actionOf(request);
  // The keys of a batch are decided one by one: here, whether any could be removed at all.
  const batch = action === "s3:DeleteObject" && key === "";
  const name = `arn:aws:s3:::${bucket}${key === "" ? "" : `/${key}`}`;
  if (!listOf(Action).some((pattern) => isLike(pattern, action))) return false;
  if (!batch && !listOf(Resource).some((pattern) => isLike(pattern, name))) return false;
  if (!Condition) return true;
  // Only listings have that key of a condition: elsewhere it does not hold.
  if (action !== "s3:ListBucket") return false;
  const prefix = query.get("prefix") ?? "";
  return listOf(Condition.StringLike["s3:prefix"]).some((pattern) => isLike(pattern, prefix));
}

function listOf(value: OneOrMore): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

function isLike(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+^${}()|[\]\\?]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}
