import type { Guard } from "./guard.ts";

const DIRECTORY = "tests/unit/storage/directory_store_test.ts";
const S3 = "tests/unit/storage/s3_store_test.ts";
const LIGHT = "tests/unit/storage/s3_light_test.ts";

/** Of the stores: what is acknowledged is there, once, and nobody learns a secret. */
export const STORAGE_GUARDS: readonly Guard[] = [
  {
    name: "a file of a folder repository is synced before it gets its name",
    file: "src/storage/pending_file.ts",
    text: "      await this.#file.sync();\n",
    replacement: "",
    test: DIRECTORY,
    filter: "makes content durable",
  },
  {
    name: "the folder of a new name is synced",
    file: "src/storage/directory_tree.ts",
    text: "        const placed = await place();\n        await this.sync(folder);\n",
    replacement: "        const placed = await place();\n",
    test: DIRECTORY,
    filter: "makes content durable",
  },
  {
    name: "a folder repository gives a name once only",
    file: "src/storage/directory_publish.ts",
    text: "if (found.ino !== own.ino || found.dev !== own.dev) throw new ObjectExistsError(key);",
    replacement: "",
    test: "tests/contract/directory_store_test.ts",
    filter: "ifAbsent",
  },
  {
    name: "If-None-Match goes with every conditional write",
    file: "src/storage/s3_write.ts",
    text: '      ...(ifAbsent && { IfNoneMatch: "*" }),\n',
    replacement: "",
    test: "tests/contract/s3_store_test.ts",
    filter: "ifAbsent",
  },
  {
    name: "If-None-Match goes with every conditional write of the WAL path",
    file: "src/storage/s3_light.ts",
    text: '      ...(ifAbsent && { "if-none-match": "*" }),\n',
    replacement: "",
    test: "tests/contract/s3_light_test.ts",
    filter: "ifAbsent",
  },
  {
    name: "a 200 with an error in it is no success",
    file: "src/storage/s3_light.ts",
    text: "if (etag && !/<Error\\b/.test(text)) return etag;",
    replacement: "if (etag) return etag;",
    test: LIGHT,
    filter: "error in",
  },
  {
    name: "a 200 without an etag is no success",
    file: "src/storage/s3_light.ts",
    text: "if (etag && !/<Error\\b/.test(text)) return etag;",
    replacement: 'if (!/<Error\\b/.test(text)) return etag ?? "";',
    test: LIGHT,
    filter: "without an etag",
  },
  {
    name: "encryption by the store is asked for with every write",
    file: "src/storage/s3_write.ts",
    text:
      "      ...(sse !== undefined && { ServerSideEncryption: sse as ServerSideEncryption }),\n",
    replacement: "",
    test: S3,
    filter: "asks for encryption",
  },
  {
    name: "http:// is refused but for this machine",
    file: "src/storage/s3_options.ts",
    text: 'if (url?.protocol !== "http:" || allowHttp || isLoopback(url.hostname)) return;',
    replacement: "return;",
    test: "tests/unit/storage/s3_errors_test.ts",
    filter: "refuses options",
  },
  {
    name: "what a server says back is freed of secrets",
    file: "src/storage/s3_errors.ts",
    text: '(clean, secret) => secret ? clean.replaceAll(secret, "(secret)") : clean,',
    replacement: "(clean) => clean,",
    test: "tests/unit/storage/s3_errors_test.ts",
    filter: "lets out no secret",
  },
  {
    name: "a webhook's redirect is not followed and no success",
    file: "src/service/alerts/channels/http_request.ts",
    text: "if (status >= 200 && status < 300) return answer;",
    replacement: "if (status >= 200 && status < 400) return answer;",
    test: "tests/unit/service/webhook_channel_test.ts",
    filter: "redirect",
  },
];
