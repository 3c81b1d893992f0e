import { durationSeconds } from '../../durations.ts';
import type { Duration } from '../../generated/google/protobuf/duration.ts';

/** The current time minus a duration, in milliseconds since the epoch; undefined without a duration. */
export function ago(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Date.now() - durationSeconds(duration) * 1000;
}
