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
