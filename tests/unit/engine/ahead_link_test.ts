import assert from "node:assert/strict";
import { AHEAD_LINK, AheadLink } from "../../../src/engine/wal/ahead_link.ts";

async function inFolder(work: (folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "backupctl-link-" });
  try {
    work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("AheadLink leads to the folder until it is removed", () =>
  inFolder((folder) => {
    const link = new AheadLink(folder, "/spool/one");
    link.lay();
    assert.equal(Deno.readLinkSync(`${folder}/${AHEAD_LINK}`), "/spool/one");
    link.remove();
    assert.deepEqual(names(folder), []);
    link.remove();
  }));

Deno.test("AheadLink takes the place of one that is left, and leaves one of others", () =>
  inFolder((folder) => {
    const [one, two] = ["/spool/one", "/spool/two"].map((to) => new AheadLink(folder, to));
    one!.lay();
    two!.lay();
    one!.remove();
    assert.equal(Deno.readLinkSync(`${folder}/${AHEAD_LINK}`), "/spool/two");
    assert.deepEqual(names(folder), [AHEAD_LINK]);
  }));

Deno.test("AheadLink leaves alone what is no link, and a folder that is gone", () =>
  inFolder((folder) => {
    Deno.mkdirSync(`${folder}/${AHEAD_LINK}/precious`, { recursive: true });
    const link = new AheadLink(folder, "/spool/one");
    link.lay();
    link.remove();
    assert.deepEqual(names(folder), [AHEAD_LINK]);
    assert.deepEqual(names(`${folder}/${AHEAD_LINK}`), ["precious"]);
    new AheadLink(`${folder}/gone`, "/spool/one").lay();
    assert.deepEqual(names(folder), [AHEAD_LINK]);
  }));
