import assert from "node:assert/strict";
import { windowTable } from "../../../src/cli/wal_windows_view.ts";
import { restorableWindows } from "../../../src/engine/recovery/restorable_windows.ts";
import { archiveOf, at, backupOf } from "../../support/archives.ts";

/** The beginning and the end, as a table on a terminal has them. */
function shown(minutes: number, last: number): readonly string[] {
  const backup = backupOf("20261123T000100Z-F", { start: at(2, 40), stop: at(2, 300), minutes });
  const view = archiveOf({ runs: [[1, 2, last]], backups: [backup] });
  const { windows, gaps } = restorableWindows(view);
  const table = windowTable({
    windows: windows.map((window) => ({ ...window, lagSeconds: undefined })),
    gaps,
  }, {});
  return table.match(/\d{2}:\d{2}:\d{2}/g) ?? [];
}

Deno.test("windowTable() begins a window with a second that lies within it", () => {
  assert.deepEqual(shown(2, 4), ["00:02:00", "00:04:00"]);
  assert.deepEqual(shown(2.0053, 4), ["00:02:01", "00:04:00"]);
  assert.deepEqual(shown(3.999, 4), ["00:04:00", "00:04:00"]);
});
