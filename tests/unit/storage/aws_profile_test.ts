import assert from "node:assert/strict";
import { profileCredentials } from "../../../src/storage/aws_profile.ts";

const FILE = `# keys
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key=de/fault+secret=

[ profile backup ]
aws_access_key_id=AKIABACKUP
aws_secret_access_key = s
aws_session_token = t

[sso]
sso_start_url = https://example.com
`;

Deno.test("profileCredentials() finds a profile's own keys", () => {
  assert.deepEqual(profileCredentials(FILE, "default"), {
    accessKeyId: "AKIADEFAULT",
    secretAccessKey: "de/fault+secret=",
  });
  assert.deepEqual(profileCredentials(FILE, "backup"), {
    accessKeyId: "AKIABACKUP",
    secretAccessKey: "s",
    sessionToken: "t",
  });
});

Deno.test("profileCredentials() leaves other kinds of profiles to the SDK", () => {
  assert.equal(profileCredentials(FILE, "sso"), undefined);
  assert.equal(profileCredentials(FILE, "absent"), undefined);
  assert.equal(profileCredentials("", "default"), undefined);
});
