import type { Duration } from './generated/google/protobuf/duration.ts';

/** @returns 0 if the duration is absent */
export function durationSeconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) + duration.nanos / 1e9;
}

/** @param seconds not negative; rounded to the millisecond */
export function toDuration(seconds: number): Duration {
  const ms = Math.round(seconds * 1000);
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
}

/** Seconds in the form of a command-line option: `7d` for 604,800, `90s` for 90. */
export function durationText(seconds: number): string {
  const [unit, size] = [['d', 86_400] as const, ['h', 3_600] as const, ['m', 60] as const].find(
    ([, size]) => seconds > 0 && seconds % size === 0,
  ) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}
