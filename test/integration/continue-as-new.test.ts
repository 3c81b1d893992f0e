import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { expect, it } from 'vitest';
import { connectCatalog } from '../../src/clients/catalog.ts';
import { readConfig } from '../../src/config.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { findTemporalCli } from '../../src/stack/temporal-cli.ts';
import { BIN, freePort, ROOT } from './running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');
/** Three pages of 100, and some. */
const TABLES = 320;

it('carries counters, failures and its place over continue-as-new', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-test-'));
  const [temporalPort, catalogPort] = [await freePort(), await freePort()];
  const [temporalAddress, address] = [`127.0.0.1:${temporalPort}`, `127.0.0.1:${catalogPort}`];
  const env = { ...process.env, TEMPORAL_ADDRESS: temporalAddress, RECONCILER_ADDRESS: address };
  const children: ChildProcess[] = [];
  const start = (command: string, args: string[]) => children.push(spawn(command, args, { env, stdio: 'ignore' }));
  try {
    for (let i = 0; i < TABLES; i++) {
      const name = `t${String(i).padStart(3, '0')}`;
      const fixture = i % 50 === 49 ? 'bad/truncated_metadata' : 'fx/orders';
      cpSync(join(FIXTURES, fixture, 'metadata'), join(folder, 'wh/n', name, 'metadata'), { recursive: true });
    }
    // Temporal suggests it at 4,096 events; here far earlier.
    const suggest = 'limit.historyCount.suggestContinueAsNew=40';
    const { cacheDir, temporalCli } = readConfig();
    const cli = await findTemporalCli({ cacheDir, explicit: temporalCli });
    const local = [
      '--ip',
      '127.0.0.1',
      '--port',
      String(temporalPort),
      '--headless',
      '--dynamic-config-value',
      suggest,
    ];
    start(cli, ['server', 'start-dev', ...local]);
    const connection = await retried(() => Connection.connect({ address: temporalAddress, connectTimeout: '1s' }));
    start(process.execPath, [BIN, 'catalog', '--address', address, '--database', join(folder, 'catalog.db')]);
    start(process.execPath, [BIN, 'worker']);
    const catalog = connectCatalog(address);
    const { connectorId } = await retried(() =>
      catalog.connectors.createConnector({
        connector: {
          displayName: 'many',
          kind: 'CONNECTOR_KIND_ICEBERG',
          uri: `file://${join(folder, 'wh')}`,
        } as never,
      }),
    );
    const { jobId } = await retried(() => catalog.connectors.triggerReconcile({ connectorId }));
    const client = new Client({ connection });
    await client.workflow
      .getHandle(jobId)
      .result()
      .catch(() => {});

    const bad = Math.floor(TABLES / 50);
    const job = await catalog.connectors.getReconcileJob({ jobId });
    expect(job).toMatchObject({
      state: JobState.JS_FAILED,
      tablesScanned: BigInt(TABLES),
      tablesChanged: BigInt(TABLES - bad),
      errors: BigInt(bad),
    });
    const { failures } = await catalog.connectors.listJobFailures({ jobId, pageSize: 1000 });
    expect(failures.length).toBe(bad);
    const { runId } = await client.workflow.getHandle(jobId).describe();
    expect(runId).not.toBe(job.runId);
    const { events } = await client.workflow.getHandle(jobId, job.runId).fetchHistory();
    expect(events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes).toBeTruthy();
    catalog.close();
    await connection.close();
  } finally {
    for (const child of children.reverse()) {
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    }
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

async function retried<T>(call: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await call();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
