import type { TableUpstream } from '../../generated/reconciler/v1/tables.ts';
import type { Tone } from '../io/colour.ts';
import { time } from '../io/format.ts';

/** Whether the upstream still has a table or view; for a column of a list. */
export function upstreamStatus(upstream: TableUpstream | undefined): string {
  return upstream?.missingSince ? `missing since ${time(upstream.missingSince)}` : 'present';
}

export const upstreamTone = (upstream: TableUpstream | undefined): Tone | undefined =>
  upstream?.missingSince ? 'warning' : undefined;
