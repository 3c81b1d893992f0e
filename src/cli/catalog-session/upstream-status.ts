import type { TableUpstream } from '../../generated/reconciler/v1/tables.ts';
import { time } from '../io/format.ts';

/** Whether the upstream still has a table or view; for a column of a list. */
export function upstreamStatus(upstream: TableUpstream | undefined): string {
  return upstream?.missingSince ? `missing since ${time(upstream.missingSince)}` : 'present';
}
