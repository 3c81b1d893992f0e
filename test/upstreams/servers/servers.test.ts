import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { waitFor } from '../../jest/wait-for.ts';
import { startIcebergRest } from './iceberg-rest.ts';
import { startMoto } from './moto.ts';
import { startNessie } from './nessie.ts';
import { startServer } from './server.ts';

const folder = mkdtempSync(join(tmpdir(), 'upstreams-'));
afterAll(() => rmSync(folder, { recursive: true }));

it("starts Iceberg's REST server on a folder", async () => {
  await using rest = await startIcebergRest({ warehouse: `file://${folder}` });
  const made = await fetch(`${rest.url}/v1/namespaces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ namespace: ['db'] }),
  });
  expect(made.status).toBe(200);
  expect(await (await fetch(`${rest.url}/v1/namespaces`)).json()).toMatchObject({ namespaces: [['db']] });
});

it('starts moto, and Nessie on a bucket of it', async () => {
  await using moto = await startMoto();
  await moto.createBucket('lake');
  await using nessie = await startNessie({ warehouse: 's3://lake/nessie', s3: moto });
  const config = (await (await fetch(`${nessie.restUrl}/v1/config`)).json()) as { defaults: Record<string, string> };
  expect(config.defaults.prefix).toBe('main');
});

it('reports the log of a server that does not start', async () => {
  const broken = startServer({
    name: 'broken',
    command: 'sh',
    start: () => ({ args: ['-c', 'echo the disk is on fire >&2; exit 3'] }),
    readyPath: '/',
  });
  await expect(broken).rejects.toThrow(/broken ended at once \(exit 3\)[\s\S]*the disk is on fire/);
});

it('stops the server if the test process is killed', async () => {
  const script = `
    const { startMoto } = await import(${JSON.stringify(new URL('moto.ts', import.meta.url).href)});
    console.log((await startMoto()).url);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data).trim())));
  expect((await fetch(url)).status).toBe(200);
  child.kill('SIGKILL');
  await waitFor(() => expect(fetch(url)).rejects.toThrow(), { timeout: 20_000, interval: 200 });
});
