import { durationSeconds } from '../../durations.ts';
import type { Duration } from '../../generated/google/protobuf/duration.ts';

/** The time that long ago by this service's clock, in milliseconds since the epoch; undefined without a duration. */
export function ago(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Date.now() - durationSeconds(duration) * 1000;
}
