import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { type WrittenTable, write } from './engines.ts';
import { connectorS3, pyicebergS3 } from './s3/s3-properties.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { type Moto, startMoto } from './servers/moto.ts';
import { startNessie } from './servers/nessie.ts';

const SERVERS = [
  {
    name: "Iceberg's REST server",
    tables: 14,
    leaveOut: [],
    async start(moto: Moto) {
      const server = await startIcebergRest({ warehouse: 's3://lake/warehouse', s3: moto });
      return { server, url: server.url };
    },
  },
  {
    name: 'Nessie',
    tables: 10,
    // Nessie accepts neither pyiceberg 0.11.1's schema updates nor changes that remove snapshots.
    leaveOut: ['schema_evolved', 'branched', 'rolled_back', 'expired'],
    async start(moto: Moto) {
      const server = await startNessie({ warehouse: 's3://lake/warehouse', s3: moto });
      return { server, url: server.restUrl };
    },
  },
];

describe.each(SERVERS)('tables that pyiceberg wrote to $name, in S3', ({ start, leaveOut, tables }) => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  let connectorId: string;
  let input: Parameters<typeof write>[2];

  beforeAll(async () => {
    const moto = cleanUp.use(await startMoto());
    await moto.createBucket('lake');
    const { server, url } = await start(moto);
    cleanUp.use(server);
    input = { catalog: { uri: url, ...pyicebergS3(moto) }, namespace: ['py', 'nested'], leave_out: leaveOut };
    stack = cleanUp.use(await RunningStack.start(moto.env));
    connectorId = await stack.connect('rest', '', { uri: url, properties: connectorS3(moto) });
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  async function expectTruth(job: ReconcileJob, written: WrittenTable[]) {
    expect(await stack.failures(job.jobId)).toEqual([]);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesScanned: BigInt(tables) } });
    const wrong: Record<string, string[]> = {};
    for (const { path, truth } of written) {
      const name = formatName(path);
      const found = await differences(stack.catalog, await stack.tableId(`rest.${name}`), truth);
      if (found.length > 0) wrong[name] = found;
    }
    expect(wrong).toEqual({});
  }

  it('match what pyiceberg reports', async () => {
    const written = await write('write_tables.py', [], input);
    expect(written).toHaveLength(tables);
    await expectTruth(await stack.trigger(connectorId), written);
  });

  it('cause no changes in a second run if nothing has changed', async () => {
    const again = await stack.trigger(connectorId);
    expect(again).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 0n, snapshotsIngested: 0n, filesIngested: 0n },
    });
  });

  it('match what pyiceberg reports after it has changed some of them, and only those are read', async () => {
    const written = await write('write_tables.py', ['more'], input);
    const job = await stack.trigger(connectorId);
    expect(countersOf(job).tablesChanged).toBe(leaveOut.length > 0 ? 2n : 3n);
    await expectTruth(job, written);
  });
});
