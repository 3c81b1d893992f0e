import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

// Statistics of a process from Linux; NaN on other systems, or if the process has ended.

/** Peak memory since the process started, or since `forgetPeak`, in MiB. */
export const peakMemory = (pid: number | undefined) => memory(pid, 'VmHWM');

/** Current memory, in MiB. */
export const residentMemory = (pid: number | undefined) => memory(pid, 'VmRSS');

function memory(pid: number | undefined, field: string): number {
  const text = read(`/proc/${pid}/status`);
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1] ?? Number.NaN) / 1024);
}

/** Restarts the measurement of the peak memory; see proc(5), `clear_refs`. */
export function forgetPeak(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Peaks then count from the start of the process.
  }
}

/** Processor time since the process started, in seconds. */
export function cpuSeconds(pid: number | undefined): number {
  // Fields 14 and 15, in hundredths of a second, after the name in parentheses, which may contain spaces.
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Number of open files, sockets and other handles. */
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
