import { durationSeconds } from '../../durations.ts';
import type { ReconcilePolicy } from '../../generated/reconciler/v1/connectors.ts';

/** When a connector runs, human-readable: `every 15m`, `0 6 * * 1-5 Europe/Vienna`. Empty if it has no schedule. */
export function scheduleText({ interval, cron, timeZone }: ReconcilePolicy): string {
  if (cron.length > 0) return `${cron.join(' and ')} ${timeZone || 'UTC'}`;
  const seconds = durationSeconds(interval);
  return seconds > 0 ? `every ${durationText(seconds)}` : '';
}

/** Seconds in the form of a command-line option: `7d` for 604,800, `90s` for 90. */
export function durationText(seconds: number): string {
  const [unit, size] = [['d', 86_400] as const, ['h', 3_600] as const, ['m', 60] as const].find(
    ([, size]) => seconds > 0 && seconds % size === 0,
  ) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}
