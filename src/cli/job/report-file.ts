import { accessSync, constants, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Option } from 'commander';
import type { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { Context } from '../catalog-session/context.ts';
import { UsageError } from '../io/errors.ts';
import { reportOf } from './report-text.ts';

export const reportOption = () =>
  new Option('--report <file>', 'with --wait, write what happened to each table: JSON for *.json, otherwise Markdown');

/** Finds out before a long job that its report could not be written. */
export function checkReportFile(file: string | undefined, wait: boolean | undefined): void {
  if (file === undefined) return;
  if (!wait) throw new UsageError('--report needs --wait', 'later, `reconciler job report JOB` prints the report');
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`--report ${file} is a directory`);
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new UsageError(`--report ${file} cannot be written: ${(error as Error).message}`);
  }
}

/** Writes the report of a job that has ended. The file has the whole report, or stays what it was. */
export async function writeReportFile(
  file: string,
  { clients }: Pick<Context, 'clients'>,
  job: ReconcileJob,
): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  const handle = await open(partial, 'w');
  try {
    try {
      const format = file.endsWith('.json') ? 'json' : 'markdown';
      for await (const text of reportOf(clients, job, format)) await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
