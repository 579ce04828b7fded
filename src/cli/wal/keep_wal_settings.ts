import { systemClock } from "../../domain/clock.ts";
import { replaceFile, sweepHalves } from "../../engine/wal/wal_spool.ts";
import type { WalSettings } from "./wal_settings.ts";

/** Settings, and the hash of everything that they came from. */
export interface KeptSettings {
  readonly key: string;
  readonly settings: WalSettings;
}

/**
 * Keeps settings for the next call, unless they hold a secret. Two calls may write at once. A
 * failure costs only time.
 */
export function keepWalSettings(path: string, kept: KeptSettings): void {
  if (!isKeepable(kept.settings)) return;
  try {
    sweepHalves(path.slice(0, path.lastIndexOf("/")), systemClock.now().getTime());
    replaceFile(path, JSON.stringify(kept));
  } catch {
    // The disk is full, or the folder is gone.
  }
}

function isKeepable({ credentials }: WalSettings): boolean {
  const sources = [credentials?.secret, credentials?.token];
  return sources.every((source) => source === undefined || !("text" in source));
}
