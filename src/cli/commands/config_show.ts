// Not imported dynamically: a bundle gives a CommonJS package no named exports then.
import { Document, isMap, isScalar } from "yaml";
import {
  type Config,
  type KeyPath,
  type LoadedConfig,
  redact,
  type Tree,
} from "../../config/config.ts";
import { type Command, printResult } from "../context.ts";
import type { CommandOf } from "../grammar/grammar.ts";
import { loadSettings } from "../session.ts";

/** Prints what applies, each value with where it comes from, secrets masked. */
export const configShow: Command<CommandOf<"config show">> = async (_line, context) => {
  const loaded = await loadSettings(context);
  const settings = redact(complete(loaded));
  printResult(context, {
    json: () => ({ schema: "backupctl.config/1", files: loaded.files, config: settings }),
    text: () => {
      const document = new Document(settings);
      const explain = (node: unknown, path: KeyPath): void => {
        if (!isMap(node)) return;
        for (const { key, value } of node.items) {
          const below = [...path, String(isScalar(key) ? key.value : key)];
          if (isMap(value)) explain(value, below);
          else if (isScalar(value)) value.comment = ` ${loaded.origin(below) ?? "default"}`;
        }
      };
      explain(document.contents, []);
      return document.toString({ lineWidth: 0 });
    },
  });
  return 0;
};

/** What was written, over the defaults as they would be written. */
function complete({ tree, config }: LoadedConfig): Tree {
  return overlay(defaults(config), tree);
}

/** The settings that have a default worth seeing. */
function defaults({ cluster, repository, compression, backup, metadata, log }: Config): Tree {
  return {
    cluster,
    repository: { type: repository.type },
    compression,
    backup: { method: backup.method, jobs: backup.jobs },
    metadata,
    log,
  };
}

function overlay(lower: Tree, upper: Tree): Tree {
  const merged: Record<string, unknown> = { ...lower };
  for (const [key, value] of Object.entries(upper)) {
    const below = merged[key];
    const both = isGroup(below) && isGroup(value);
    merged[key] = both ? overlay(below, value) : value;
  }
  return merged;
}

function isGroup(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
