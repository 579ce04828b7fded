import assert from "node:assert/strict";
import { ConnectionError } from "../../../src/storage/light_response.ts";
import { parseListing } from "../../../src/storage/s3_light_listing.ts";

const ENTRY =
  "<Contents><Key>a%2Fb%20c</Key><LastModified>2026-11-23T05:00:00.000Z</LastModified>" +
  "<ETag>&quot;f00&quot;</ETag><Size>5</Size></Contents>";

function listing(inner: string): string {
  return `<?xml version="1.0"?>\n<ListBucketResult xmlns="x"><EncodingType>url</EncodingType>${inner}` +
    "</ListBucketResult>";
}

Deno.test("parseListing() decodes keys, etags and times", () => {
  assert.deepEqual(parseListing(listing(ENTRY)), {
    objects: [{
      key: "a/b c",
      size: 5,
      etag: '"f00"',
      lastModified: new Date("2026-11-23T05:00:00Z"),
    }],
    next: undefined,
  });
});

Deno.test("parseListing() says where to go on", () => {
  const more =
    "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>";
  assert.equal(parseListing(listing(ENTRY + more)).next, "t&1");
});

const BROKEN = [
  { what: "is cut anywhere", xml: listing(ENTRY).slice(0, -3) },
  { what: "is another document", xml: "<Error><Code>SlowDown</Code></Error>" },
  { what: "is empty", xml: "" },
  { what: "goes on without saying where", xml: listing("<IsTruncated>true</IsTruncated>") },
  { what: "has no size", xml: listing(ENTRY.replace(/<Size>.*<\/Size>/, "")) },
];
for (const { what, xml } of BROKEN) {
  Deno.test(`parseListing() refuses a listing that ${what}`, () => {
    assert.throws(() => parseListing(xml), ConnectionError);
  });
}

Deno.test("parseListing() refuses every prefix of a listing", () => {
  const whole = listing(ENTRY);
  for (let cut = 0; cut < whole.length; cut++) {
    assert.throws(() => parseListing(whole.slice(0, cut)), ConnectionError, `cut at ${cut}`);
  }
});
