import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { declarationOf, SEARCH_ATTRIBUTES } from '../../src/contract/search-attributes.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { keyIdOf } from '../../src/temporal/payload-codec.ts';
import { WebhookReceiver } from '../activities/alerts/webhook-receiver.ts';
import { waitFor } from '../jest/wait-for.ts';
import { Processes } from './stack/processes.ts';
import { freePort, ROOT } from './stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');
const KEYS = { KEY_1: randomBytes(32).toString('base64'), KEY_2: randomBytes(32).toString('hex') };
const keys = (list: string): NodeJS.ProcessEnv => ({ ...KEYS, RECONCILER_CODEC_KEYS: list });
const [FIRST, SECOND] = [keys('k1=env:KEY_1'), keys('k2=env:KEY_2')];
const ROTATED = keys('k2=env:KEY_2,k1=env:KEY_1');

function table(folder: string, name: string, fixture: string): void {
  cpSync(join(FIXTURES, fixture, 'metadata'), join(folder, 'wh', name, 'metadata'), { recursive: true });
}

async function historyOf({ temporal }: Processes, jobId: string): Promise<Buffer> {
  const history = await temporal.workflow.getHandle(jobId).fetchHistory();
  return Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish());
}

describe('with an encrypting codec', () => {
  let processes: Processes;
  let jobId: string;
  let endpoint: string;
  let receiver: WebhookReceiver;

  beforeAll(async () => {
    const attributes = Object.values(SEARCH_ATTRIBUTES).map(declarationOf);
    processes = await Processes.start(...attributes.flatMap((attribute) => ['--search-attribute', attribute]));
    const { folder } = processes;
    table(folder, 'hushhush/confidential_good', 'fx/orders');
    table(folder, 'hushhush/confidential_bad', 'bad/truncated_metadata');
    await processes.startCatalog(FIRST);
    await processes.startWorker(FIRST);
    receiver = await WebhookReceiver.start();
    const alerts = { webhookUrl: receiver.origin };
    jobId = await processes.trigger(await processes.connect('lake', join(folder, 'wh'), { alerts }));
    const port = await freePort();
    const env = { ...FIRST, TOKEN: 'a-token' };
    await processes.startCodec(env, '--port', String(port), '--token-ref', 'env:TOKEN');
    endpoint = `http://127.0.0.1:${port}`;
  }, 120_000);
  afterAll(async () => {
    await processes?.[Symbol.asyncDispose]();
    await receiver?.[Symbol.asyncDispose]();
  });

  it('a job fails with the same report as without a codec', async () => {
    expect(await processes.ended(jobId)).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { tablesChanged: 1n, errors: 1n },
    });
    const { failures } = await processes.catalog.jobs.listJobFailures({ jobId });
    expect(failures).toMatchObject([{ table: 'hushhush.confidential_bad', code: 'DATA_LOSS' }]);
    await processes.temporal.workflow
      .getHandle(jobId)
      .result()
      .catch(() => {});
    expect(await processes.temporal.workflow.getHandle(`alert-${jobId}`).describe()).toMatchObject({
      type: 'sendAlert',
    });
    await waitFor(() => expect(receiver.received).toHaveLength(1), { timeout: 60_000 });
    expect(receiver.received[0]!.body).toContain('hushhush.confidential_bad');
  });

  it('Temporal stores no table name, neither in the history nor elsewhere in its database', async () => {
    const history = await historyOf(processes, jobId);
    expect(history.includes('confidential')).toBe(false);
    expect(history.includes('hushhush')).toBe(false);
    expect(history.includes('binary/encrypted')).toBe(true);
    const files = ['', '-wal', '-journal'].map((end) => processes.databaseFile + end).filter(existsSync);
    const database = Buffer.concat(files.map((file) => readFileSync(file)));
    expect(database.includes('confidential')).toBe(false);
    expect(database.includes('hushhush')).toBe(false);
    // This proves that the search works: the values of search attributes are not encrypted.
    expect(database.includes('"lake"')).toBe(true);
  });

  it("Temporal's CLI shows decrypted histories through the codec endpoint, but only with the token", async () => {
    const show = (...more: string[]) => processes.temporalCli('workflow', 'show', '-w', jobId, '--detailed', ...more);
    const plain = await show();
    expect(plain.code).toBe(0);
    expect(plain.stdout).toContain('Encoded failure');
    expect(plain.stdout).not.toContain('confidential');
    const refused = await show('--codec-endpoint', endpoint);
    expect(refused.code).not.toBe(0);
    expect(refused.stdout).not.toContain('confidential');

    const codec = ['--codec-endpoint', endpoint, '--codec-auth', 'Bearer a-token'];
    const { stdout, stderr } = await show(...codec);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/input\[0\]\.table\.name: +confidential_bad/);
    expect(stdout).toMatch(/userMetadata\.summary: +hushhush\.confidential_bad/);
    expect(stdout).toMatch(/encodedAttributes\.message: .*confidential_bad.* is broken/);
    const query = await processes.temporalCli('workflow', 'query', '-w', jobId, '--type', 'failures', ...codec);
    expect(query.stdout).toContain('hushhush.confidential_bad');
    const metadata = await processes.temporalCli('workflow', 'metadata', '-w', jobId, ...codec);
    // Details are Markdown, in which the underscore is escaped.
    expect(metadata.stdout).toContain('hushhush.confidential\\_bad');
  });

  it("a job that Temporal's CLI starts runs, whether its input is encrypted or not", async () => {
    const input = JSON.stringify({ connector: 'lake' });
    const start = ['workflow', 'start', '--type', 'reconcile', '--task-queue', 'reconciler', '--input', input];
    const codec = ['--codec-endpoint', endpoint, '--codec-auth', 'Bearer a-token'];
    for (const more of [
      ['-w', 'plain'],
      ['-w', 'encrypted', ...codec],
    ]) {
      expect(await processes.temporalCli(...start, ...more)).toMatchObject({ code: 0 });
      const job = await processes.ended(more[1]!);
      expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { tablesUnchanged: 1n } });
    }
  });
});

describe('while keys are added and rotated', () => {
  const TABLES = 400;
  let processes: Processes;
  let stop: () => Promise<void> = async () => {};
  beforeAll(async () => {
    processes = await Processes.start();
    for (let i = 0; i < TABLES; i++) table(processes.folder, `n/t${String(i).padStart(3, '0')}`, 'fx/orders');
  });
  afterAll(() => processes?.[Symbol.asyncDispose]());

  /** Stops the worker and the catalog and starts both with other keys. */
  async function restart(env: NodeJS.ProcessEnv): Promise<void> {
    await stop();
    const [catalog, worker] = [await processes.startCatalog(env), await processes.startWorker(env)];
    stop = async () => {
      await processes.stop(worker, 'SIGTERM');
      await processes.stop(catalog, 'SIGTERM');
    };
  }

  /** Waits until the schedule's input is encrypted with this key. The catalog updates schedules when it starts. */
  async function scheduleEncryptedBy(id: string | undefined): Promise<void> {
    await waitFor(
      async () => {
        const schedules = [];
        for await (const { scheduleId } of processes.temporal.schedule.list()) schedules.push(scheduleId);
        expect(schedules).toHaveLength(1);
        const { schedule } = await processes.temporal.workflowService.describeSchedule({
          namespace: 'default',
          scheduleId: schedules[0],
        });
        expect(keyIdOf(schedule?.action?.startWorkflow?.input?.payloads?.[0])).toBe(id);
      },
      { timeout: 60_000, interval: 200 },
    );
  }

  it('a run continues', async () => {
    await restart({});
    const policy = { maxParallel: 1, enabled: true, cron: ['0 0 1 1 *'] };
    const id = await processes.connect('lake', join(processes.folder, 'wh'), { policy });
    await scheduleEncryptedBy(undefined);
    const { jobId, releaseConnector } = await processes.triggerHeld(id);

    await restart(FIRST);
    await scheduleEncryptedBy('k1');
    await releaseConnector();
    const tables = async () =>
      (await processes.catalog.bindings.countBindings({ connectorId: id, kind: ObjectKind.OBJECT_KIND_TABLE })).count;
    await waitFor(async () => expect(await tables()).toBeGreaterThan(0n), { timeout: 120_000, interval: 50 });
    expect(await tables()).toBeLessThan(BigInt(TABLES));
    await restart(ROTATED);
    await scheduleEncryptedBy('k2');
    expect(await processes.ended(jobId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesScanned: BigInt(TABLES), tablesChanged: BigInt(TABLES) },
    });
    const history = await historyOf(processes, jobId);
    const encryptedBy = (id: string) => history.includes(Buffer.from(`encryption-key-id\x12\x02${id}`));
    expect([history.includes('json/plain'), encryptedBy('k1'), encryptedBy('k2')]).toEqual([true, true, true]);

    // Without the old key, payloads encrypted with it cannot be read, but the job's record can.
    await restart(SECOND);
    expect(await processes.catalog.connectors.getReconcileJob({ jobId })).toMatchObject({
      state: JobState.JS_SUCCEEDED,
    });
    const next = await processes.ended(await processes.trigger(id));
    expect(next).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesUnchanged: BigInt(TABLES) } });
  }, 300_000);

  it('a run whose key is missing reports the missing key, and continues when the key is back', async () => {
    await restart(FIRST);
    const { connectorId } = await processes.catalog.connectors.getConnector({
      by: { $case: 'displayName', value: 'lake' },
    });
    const { jobId, releaseConnector } = await processes.triggerHeld(connectorId);

    await restart(SECOND);
    await releaseConnector();
    const missing = /encrypted with the key \\"k1\\", which RECONCILER_CODEC_KEYS does not have \(it has k2\)/;
    const log = join(processes.folder, 'worker.log');
    await waitFor(() => expect(readFileSync(log, 'utf8')).toMatch(missing), { timeout: 100_000, interval: 100 });
    await restart(ROTATED);
    expect(await processes.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  }, 300_000);

  it('the worker, the catalog and the endpoint exit at startup if a key cannot be read', async () => {
    for (const command of ['worker', 'catalog', 'codec']) {
      const { code, stderr } = await processes.cli([command], { RECONCILER_CODEC_KEYS: 'k=env:NOT_SET_ANYWHERE' });
      expect([command, code]).toEqual([command, 1]);
      expect(stderr).toContain('error: RECONCILER_CODEC_KEYS: the key k refers to env:NOT_SET_ANYWHERE');
    }
  }, 60_000);
});
