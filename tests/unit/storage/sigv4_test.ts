import assert from "node:assert/strict";
import { encodePath, encodeQuery, sha256Hex, signRequest } from "../../../src/storage/sigv4.ts";

// Amazon S3 API Reference, "Signature Calculations for the Authorization Header", the examples.
const EXAMPLE = {
  credentials: {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  },
  region: "us-east-1",
  time: new Date("2013-05-24T00:00:00Z"),
};
const HOST = { host: "examplebucket.s3.amazonaws.com" };
const EMPTY = sha256Hex("");
const CASES = [
  {
    what: "GET of a range",
    request: {
      ...{ method: "GET", path: "/test.txt", payloadHash: EMPTY },
      headers: { ...HOST, range: "bytes=0-9" },
    },
    signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  },
  {
    what: "PUT of a key with a special character",
    request: {
      ...{ method: "PUT", path: encodePath("/test$file.text") },
      payloadHash: sha256Hex("Welcome to Amazon S3."),
      headers: {
        ...HOST,
        date: "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
      },
    },
    signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  },
  {
    what: "GET of a sub-resource",
    request: {
      ...{ method: "GET", path: "/", query: { lifecycle: "" }, headers: HOST, payloadHash: EMPTY },
    },
    signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  },
  {
    what: "GET of a listing",
    request: {
      ...{ method: "GET", path: "/", query: { prefix: "J", "max-keys": "2" }, headers: HOST },
      payloadHash: EMPTY,
    },
    signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  },
];
for (const { what, request, signature } of CASES) {
  Deno.test(`signRequest() signs Amazon's example of a ${what}`, () => {
    const { authorization } = signRequest(request, EXAMPLE);
    assert.match(authorization!, new RegExp(`Signature=${signature}$`));
  });
}

Deno.test("signRequest() signs a session token along", () => {
  const credentials = { ...EXAMPLE.credentials, sessionToken: "token" };
  const headers = signRequest(CASES[0]!.request, { ...EXAMPLE, credentials });
  assert.equal(headers["x-amz-security-token"], "token");
  assert.match(headers["authorization"]!, /SignedHeaders=[^,]*x-amz-security-token/);
});

Deno.test("encodePath() and encodeQuery() leave only RFC 3986's unreserved characters", () => {
  assert.equal(encodePath("/a b/ü*'()!~+"), "/a%20b/%C3%BC%2A%27%28%29%21~%2B");
  assert.equal(encodeQuery({ b: "x/y", a: "=&" }), "a=%3D%26&b=x%2Fy");
});
