import { fileURLToPath } from "node:url";

/** The path of a file: URL. */
export function fromFileUrl(url: URL): string {
  return fileURLToPath(url);
}

/** The root of the checkout, with a slash at its end. */
export const PROJECT_ROOT = fromFileUrl(new URL("../../", import.meta.url));
