import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, runInstaller } from '../test/upstreams/servers/cache.ts';
import { runScript } from './python/python.ts';

/**
 * Threads that DataHub may use, the best number on two cores. Its limit is Python's lock, not the servers: 300 tables take 5 to 6 s of
 * processor time with any number; the elapsed time is 8.4 s with one thread, 6.7 s with two, 6.7 s with four and 7.0 s with eight.
 */
const THREADS = 4;

export interface DataHubRun {
  seconds: number;
  /** Processor time of DataHub's process. */
  cpuSeconds: number;
  tables: number;
  /** Tables whose manifests were read. */
  profiles: number;
}

/**
 * Runs DataHub's Iceberg source with profiling; each run reads all tables. DataHub is installed the first time.
 *
 * @param catalog properties of the catalog for pyiceberg
 */
export async function runDataHub(catalog: Record<string, string>, runs: number): Promise<DataHubRun[]> {
  return runScript(await python(), 'datahub_ingest.py', JSON.stringify({ catalog, threads: THREADS, runs }));
}

async function python(): Promise<string> {
  const requirements = join(import.meta.dirname, 'python/requirements-datahub.txt');
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 8);
  const folder = await installed(`datahub-${version}`, async (unfinished) => {
    await runInstaller('python3', ['-m', 'venv', unfinished]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'];
    await runInstaller(join(unfinished, 'bin', 'python'), [...pip, '--requirement', requirements]);
  });
  return join(folder, 'bin', 'python');
}
