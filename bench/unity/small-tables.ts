/**
 * Small Delta tables behind Unity Catalog: `npm run bench:unity`. The tables are on this disk, and on MinIO with temporary credentials for each; the
 * catalog is the tests' server, in a process of its own. delta-rs reads the same tables for comparison, without a catalog. The report goes to stderr,
 * its numbers as JSON to stdout.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import Table from 'cli-table3';
import { loadBucket } from '../load-bucket.ts';
import { startMinio } from '../minio.ts';
import { ensureDeltaWarehouse, ensurePython, runScript } from '../python/python.ts';
import { BenchStack, type Run } from '../stack.ts';
import { AWS_ENV } from '../upstream.ts';

const { values: options } = parseArgs({
  options: {
    tables: { type: 'string', default: '1000' },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});
const SERVER = join(import.meta.dirname, '..', '..', 'test', 'connectors', 'unity', 'serve.ts');
const BUCKET = 'lake';

const tables = Number(options.tables);
const cache = resolve(options.cache);
mkdirSync(cache, { recursive: true });
const python = ensurePython(cache);
const folder = await ensureDeltaWarehouse(python, cache, `delta-tables-${tables}`, 'many', '--tables', options.tables);
const names = readdirSync(folder).filter((name) => /^ns\d+$/.test(name));
const paths = names.flatMap((schema) => readdirSync(join(folder, schema)).map((table) => `${schema}/${table}`));

interface Peer {
  seconds: number;
  tablesPerSecond: number;
}

interface Measured {
  seconds: number;
  tablesPerSecond: number;
  /** To the catalog, by kind, and to the storage, per table. */
  catalogRequests: Record<string, number>;
  storageRequestsPerTable: number;
}

/** The tests' server in a process of its own. */
class UnityProcess implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly url: string;

  private constructor(process: ChildProcess, url: string) {
    this.#process = process;
    this.url = url;
  }

  /** @param root where the tables are */
  static async start(root: string): Promise<UnityProcess> {
    const args = ['--import', 'tsx', SERVER, folder, '0', root];
    const env = { ...process.env, ...AWS_ENV };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout! })) {
      const url = / at (http\S+)$/.exec(line)?.[1];
      if (url) return new UnityProcess(child, url);
    }
    throw new Error('the Unity server ended before it was ready');
  }

  /** The requests since the last call. */
  async requests(): Promise<Record<string, number>> {
    return (await fetch(`${this.url}/requests`)).json() as Promise<Record<string, number>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await once(this.#process, 'exit');
  }
}

async function measure(root: string, properties: readonly string[], env: Record<string, string>) {
  await using unity = await UnityProcess.start(root);
  await using stack = await BenchStack.start(cache);
  const own = ['catalog=main', ...properties].flatMap((property) => ['--property', property]);
  await stack.createConnector('bench', '--kind', 'unity', '--uri', unity.url, ...own);
  const measured = async ({ job, jobSeconds }: Run): Promise<Measured> => {
    const catalogRequests = await unity.requests();
    const inCatalog = Object.values(catalogRequests).reduce((sum, count) => sum + count, 0);
    return {
      seconds: jobSeconds,
      tablesPerSecond: Math.round(tables / jobSeconds),
      catalogRequests,
      storageRequestsPerTable: Math.round(((Number(job.upstreamRequests) - inCatalog) / tables) * 100) / 100,
    };
  };
  const first = await measured(await stack.reconcile('bench'));
  const unchanged = await measured(await stack.reconcile('bench'));
  const cpu = { worker: stack.cpuSeconds('worker'), catalog: stack.cpuSeconds('catalog') };
  Object.assign(process.env, env);
  const peer = await runScript<Peer>(python, 'delta_read.py', ...paths.map((path) => `${root}/${path}`));
  return { first, unchanged, cpu, peer };
}

async function measureS3() {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region } = AWS_ENV;
  await using minio = await startMinio({ accessKeyId, secretAccessKey });
  const s3 = new S3Client({
    endpoint: minio.url,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
  });
  await loadBucket(s3, BUCKET, folder);
  s3.destroy();
  const properties = [`s3.endpoint=${minio.url}`, 's3.path-style-access=true', `s3.region=${region}`];
  return await measure(`s3://${BUCKET}`, properties, {
    ...AWS_ENV,
    AWS_ENDPOINT_URL: minio.url,
    AWS_ALLOW_HTTP: 'true',
  });
}

const report = new Table({ head: ['tables', 'first run', 'unchanged', 'delta-rs'], style: { head: [], border: [] } });
const results: Record<string, Awaited<ReturnType<typeof measure>>> = {
  'on disk': await measure(`file://${folder}`, [], {}),
  'on MinIO': await measureS3(),
};
for (const [where, { first, unchanged, peer }] of Object.entries(results)) {
  const text = ({ tablesPerSecond, catalogRequests, storageRequestsPerTable }: Measured) =>
    [
      `${tablesPerSecond}/s`,
      `${storageRequestsPerTable} storage requests per table`,
      ...Object.entries(catalogRequests).map(([kind, count]) => `${count} x ${kind}`),
    ].join('\n');
  report.push([`${tables} ${where}`, text(first), text(unchanged), `${peer.tablesPerSecond}/s`]);
}
console.error(report.toString());
console.log(JSON.stringify(results));
