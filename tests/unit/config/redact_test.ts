import assert from "node:assert/strict";
import { redact } from "../../../src/config/config.ts";

Deno.test("redact() masks every secret and keeps the rest", () => {
  const shown = redact({
    postgres: { user: "backup", password: "canary", password_file: "/run/x" },
    repository: { access_key_id: "AKIA", secret_access_key: "canary", session_token: "canary" },
    alerts: {
      email: { password: "canary" },
      webhooks: [{ url: "https://hooks.example.com/canary", secret: "canary" }],
    },
    metadata: { url: "postgres://u:canary@db:5432/x?password=canary" },
  });
  const text = JSON.stringify(shown);
  assert.doesNotMatch(text, /canary/);
  assert.match(text, /"user":"backup"/);
  assert.match(text, /"password_file":"\/run\/x"/);
  assert.match(text, /https:\/\/hooks.example.com\//);
  assert.match(text, /"access_key_id":"AKIA"/);
});

Deno.test("redact() shows words that are no addresses", () => {
  assert.deepEqual(redact({ metadata: { url: "off" } }), { metadata: { url: "off" } });
});
