import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './lock-file.ts';

/** What `stack.json` in a data directory says of the stack that runs there, or ran last. */
export interface StackFile {
  /** Of `up`. Absent after a clean stop. */
  pid?: number;
  /** The catalog service. */
  address: string;
  /** The Temporal UI. */
  uiUrl: string;
  /** Temporal's gRPC frontend. */
  temporalAddress: string;
  /** Where each serves metrics and answers probes, host:port. Absent in files of older versions. */
  observed?: Record<'catalog' | 'worker', { metrics: string; health: string }>;
  /** By name: temporal, catalog, worker. */
  processes: Record<string, number | undefined>;
}

const path = (dataDir: string) => join(dataDir, 'stack.json');

export function readStackFile(dataDir: string): StackFile | undefined {
  try {
    return JSON.parse(readFileSync(path(dataDir), 'utf8')) as StackFile;
  } catch {
    return undefined;
  }
}

/** The same, if that stack is up. */
export function readRunningStack(dataDir: string): StackFile | undefined {
  const stack = readStackFile(dataDir);
  return stack?.pid !== undefined && isAlive(stack.pid) ? stack : undefined;
}

/** At once: a reader sees the old or the new. */
export function writeStackFile(dataDir: string, stack: StackFile): void {
  const temporary = `${path(dataDir)}.${process.pid}`;
  // The folder was deleted under the stack: that must not keep it from stopping what it started.
  if (!existsSync(dataDir)) return;
  writeFileSync(temporary, `${JSON.stringify(stack, undefined, 2)}\n`);
  renameSync(temporary, path(dataDir));
}
