import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** What Linux tells of a process; NaN elsewhere, or where the process is gone. */

/** The most that it has held in memory since it started, or since `forgetPeak`, in MiB. */
export const peakMemory = (pid: number | undefined) => memory(pid, 'VmHWM');

/** What it holds in memory now, in MiB. */
export const residentMemory = (pid: number | undefined) => memory(pid, 'VmRSS');

function memory(pid: number | undefined, field: string): number {
  const text = read(`/proc/${pid}/status`);
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1] ?? Number.NaN) / 1024);
}

/** See proc(5), `clear_refs`. */
export function forgetPeak(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Then peaks are since the start.
  }
}

/** Processor time since it started, in seconds. */
export function cpuSeconds(pid: number | undefined): number {
  // Behind the name in parentheses, which may hold spaces: fields 14 and 15, in hundredths.
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Open files, sockets and the like. */
export function openHandles(pid: number | undefined): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return Number.NaN;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
