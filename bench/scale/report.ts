import Table from 'cli-table3';
import type { StackProcess } from '../../test/synthetic/synthetic-stack.ts';
import { type Actions, totalOf } from '../actions.ts';

/** A run of a job, or of a peer, as `npm run bench:scale` measured it. */
export interface Measured {
  run: string;
  state: string;
  tables: number;
  /** Tables that a job found changed, and its errors. */
  changed?: number;
  errors?: number;
  seconds: number;
  tablesPerSecond: number;
  /** In seconds; see `PauseMeter`. */
  longestPause?: number;
  longestPauseOfScan?: number;
  /** Workflow runs; a job has several if it continues as new. */
  runs: number;
  events: number;
  mostEventsOfARun: number;
  historyBytes: number;
  mostBytesOfARun: number;
  actions: Actions;
  /** In MiB. */
  peakMemory: Record<StackProcess, number>;
  cpuSeconds: Record<StackProcess, number>;
}

const COLUMNS: Record<string, (m: Measured) => string | number> = {
  run: ({ run }) => run.replaceAll(', ', '\n'),
  tables: ({ tables }) => tables,
  'changed\nerrors': ({ changed, errors }) => (changed === undefined ? '' : `${changed}\n${errors}`),
  s: ({ seconds }) => seconds.toFixed(1),
  'tables/s': ({ tablesPerSecond }) => tablesPerSecond,
  'longest pause s\n(of the scan)': ({ longestPause, longestPauseOfScan }) =>
    longestPause === undefined ? '' : `${longestPause.toFixed(1)}\n(${longestPauseOfScan?.toFixed(1)})`,
  'events\n(runs)': ({ events, runs }) => `${events}\n(${runs})`,
  'largest run': (m) => `${m.mostEventsOfARun} events\n${Math.round(m.mostBytesOfARun / 1024)} KiB`,
  actions: ({ actions }) => [totalOf(actions), ...lines(actions)].join('\n'),
  'peak MiB': ({ peakMemory }) => lines(peakMemory).join('\n'),
  'CPU s': ({ cpuSeconds }) => lines(cpuSeconds).join('\n'),
};

/** Prints a table to stderr and JSON to stdout. */
export function report(results: Measured[]): void {
  const table = new Table({ head: Object.keys(COLUMNS), style: { head: [], border: [] } });
  for (const measured of results) table.push(Object.values(COLUMNS).map((value) => value(measured)));
  console.error(table.toString());
  console.log(JSON.stringify(results.map((m) => ({ ...m, totalActions: totalOf(m.actions) }))));
}

const lines = (values: Record<string, number>) => Object.entries(values).map(([name, value]) => `${name} ${value}`);
