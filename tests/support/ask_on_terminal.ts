/** Asks on the terminal as commands do that remove something; ends as they end. */
import { askYes } from "../../src/cli/ask_yes.ts";
import { openTerminal } from "../../src/cli/terminal.ts";
import { exitStatus, InterruptedError } from "../../src/domain/errors.ts";

const controller = new AbortController();
Deno.addSignalListener("SIGINT", () => controller.abort(new InterruptedError("SIGINT")));
const context = { terminal: openTerminal(Deno.env.toObject()), signal: controller.signal };
try {
  Deno.exit(await askYes("Remove everything?", context) ? 0 : 1);
} catch (error) {
  Deno.exit(exitStatus(error));
}
