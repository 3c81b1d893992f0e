import { type Schedule, ScheduleStatus } from '../../generated/reconciler/v1/schedules.ts';
import type { Tone } from '../io/colour.ts';
import { NONE, time, word } from '../io/format.ts';
import type { Column } from '../io/table-printer.ts';

/** `ok`, `missing`, `different`, `surplus` or `foreign`. */
const status = (schedule: Schedule) => word(schedule.status, 'SCHEDULE_STATUS_');

const statusTone = ({ status }: Schedule): Tone => (status === ScheduleStatus.SCHEDULE_STATUS_OK ? 'good' : 'warning');

export const SCHEDULE_COLUMNS: Column<Schedule>[] = [
  { title: 'CONNECTOR', value: (s) => s.connectorName || s.connectorId, min: 20 },
  { title: 'WHEN', value: (s) => s.when || NONE, weight: 8, min: 12 },
  { title: 'NEXT RUN', value: (s) => (s.paused ? 'paused' : time(s.nextRunAt)), weight: 9 },
  { title: 'LAST RUN', value: (s) => time(s.lastRunAt), weight: 7 },
  { title: 'LAST JOB', value: (s) => s.lastJobId || NONE, weight: 6 },
  { title: 'STATUS', value: status, tone: statusTone },
];
