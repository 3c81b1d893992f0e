import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TemporalUi } from '../contract/workflow-link.ts';
import { isAlive } from './lock-file.ts';

/** `stack.json` in a data directory: the stack that runs there, or ran there last. */
export interface StackFile {
  /** Process id of `reconciler up`. Absent after a clean stop. */
  pid?: number;
  /** The catalog service, host:port. */
  address: string;
  /** Address of the Temporal UI. */
  uiUrl: string;
  /** Temporal's gRPC frontend, host:port. */
  temporalAddress: string;
  /** Where each process serves metrics and answers probes, host:port. */
  observed: Record<'catalog' | 'worker', { metrics: string; health: string }>;
  /** Process ids by name: temporal, catalog, worker. */
  processes: Record<string, number | undefined>;
}

/** The namespace of the stack's jobs, which every dev server has. */
export const STACK_NAMESPACE = 'default';

const path = (dataDir: string) => join(dataDir, 'stack.json');

/** @returns undefined if there is no readable `stack.json` */
export function readStackFile(dataDir: string): StackFile | undefined {
  try {
    return JSON.parse(readFileSync(path(dataDir), 'utf8')) as StackFile;
  } catch {
    return undefined;
  }
}

/** @returns the stack that runs on the data directory; undefined if none runs */
export function readRunningStack(dataDir: string): StackFile | undefined {
  const stack = readStackFile(dataDir);
  return stack?.pid !== undefined && isAlive(stack.pid) ? stack : undefined;
}

/** Where the stack's Temporal UI shows its jobs, whatever the user's own `TEMPORAL_*` variables and profiles say. */
export function uiOfStack({ uiUrl }: Pick<StackFile, 'uiUrl'>): TemporalUi {
  return { base: uiUrl, namespace: STACK_NAMESPACE };
}

/** Writes `stack.json` atomically: a reader sees the old content or the new. Does nothing if the data directory is gone. */
export function writeStackFile(dataDir: string, stack: StackFile): void {
  const temporary = `${path(dataDir)}.${process.pid}`;
  // If someone deletes the folder of a running stack, the stack must still be able to stop its processes.
  if (!existsSync(dataDir)) return;
  writeFileSync(temporary, `${JSON.stringify(stack, undefined, 2)}\n`);
  renameSync(temporary, path(dataDir));
}
