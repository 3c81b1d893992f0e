import { Cron } from 'croner';
import { parseCron } from './cron.ts';

/** The next times of cron expressions together, up to `count`, after a time. Fewer if none is left. @param timeZone empty for UTC */
export function nextTimes(cron: readonly string[], timeZone: string, after: Date, count: number): Date[] {
  const times = new Set<number>();
  for (const expression of cron) {
    const { minute, hour, dayOfMonth, month, dayOfWeek } = parseCron(expression);
    // With `domAndDow`, both days must match, as in Temporal.
    const fields = [minute, hour, dayOfMonth, month, dayOfWeek].map((values) => values.join()).join(' ');
    const options = { timezone: timeZone || 'UTC', domAndDow: true, paused: true };
    for (const time of new Cron(fields, options).nextRuns(count, after)) times.add(time.getTime());
  }
  return [...times]
    .sort((a, b) => a - b)
    .slice(0, count)
    .map((time) => new Date(time));
}
