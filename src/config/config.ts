/**
 * The face of the configuration: what an operator has set, checked and typed.
 *
 * @module
 */
export type { Environment } from "./environment_layer.ts";
export type { KeyPath, Tree } from "./layer.ts";
export {
  DEFAULT_FILES,
  type FlagSetting,
  loadConfig,
  type LoadedConfig,
  type LoadOptions,
} from "./load_config.ts";
export type { Config } from "./schema.ts";
export { redact } from "./secrets.ts";
