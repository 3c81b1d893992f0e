import type { Schedule } from '../../generated/reconciler/v1/schedules.ts';
import { NONE, time, word } from '../io/format.ts';
import type { Column } from '../io/table-printer.ts';

/** `ok`, `missing`, `different` or `surplus`. */
const status = (schedule: Schedule) => word(schedule.status, 'SCHEDULE_STATUS_');

export const SCHEDULE_COLUMNS: Column<Schedule>[] = [
  { title: 'CONNECTOR', value: (s) => s.connectorName || s.connectorId },
  { title: 'WHEN', value: (s) => s.when || NONE },
  { title: 'NEXT RUN', value: (s) => (s.paused ? 'paused' : time(s.nextRunAt)) },
  { title: 'LAST RUN', value: (s) => time(s.lastRunAt) },
  { title: 'LAST JOB', value: (s) => s.lastJobId || NONE },
  { title: 'STATUS', value: status },
];
