import { durationSeconds, durationText } from '../../durations.ts';
import type { ReconcilePolicy } from '../../generated/reconciler/v1/connectors.ts';

/** When a connector runs, human-readable: `every 15m`, `0 6 * * 1-5 Europe/Vienna`. Empty if it has no schedule. */
export function scheduleText({ interval, cron, timeZone }: ReconcilePolicy): string {
  if (cron.length > 0) return `${cron.join(' and ')} ${timeZone || 'UTC'}`;
  const seconds = durationSeconds(interval);
  return seconds > 0 ? `every ${durationText(seconds)}` : '';
}
