import { KiB } from "../../../domain/bytes.ts";
import type { Clock } from "../../../domain/clock.ts";
import { pause } from "../../../domain/pause.ts";

/** Slows a copy down to so many kilobytes a second, counted from its first bytes. */
export function pacer(
  maxRateKb: number | undefined,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): (rawBytes: number) => void | Promise<void> {
  if (maxRateKb === undefined) return () => {};
  const bytesPerMs = maxRateKb * KiB / 1000;
  let begun: number | undefined;
  let bytes = 0;
  return async (rawBytes) => {
    begun ??= clock.monotonic();
    bytes += rawBytes;
    const ahead = begun + bytes / bytesPerMs - clock.monotonic();
    if (ahead > 0) await pause(ahead, signal);
  };
}
