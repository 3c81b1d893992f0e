import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { fixtureTables, publishFixtures } from './publish-fixtures.ts';
import { connectorS3 } from './s3/s3-properties.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { startMoto } from './servers/moto.ts';

// The table with truncated metadata is in faults.test.ts, because the server hangs over it for 91 s.
const tables = fixtureTables().filter(({ truth }) => truth.corrupted !== 'truncated_metadata');
const named = tables.map(({ path, truth }) => ({ name: formatName(path), truth }));
/** The server's Jetty refuses a percent sign in a name. */
const REFUSED = /%/;

describe.each(['file', 's3'] as const)("fixtures behind Iceberg's REST server, in a %s warehouse", (scheme) => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  let connectorId: string;
  let job: ReconcileJob;
  const failed = new Map<string, string>();

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-fixtures-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    const moto = scheme === 's3' ? cleanUp.use(await startMoto()) : undefined;
    await moto?.createBucket('lake');
    const rest = cleanUp.use(
      await startIcebergRest({ warehouse: moto ? 's3://lake/warehouse' : `file://${folder}/warehouse`, s3: moto }),
    );
    await publishFixtures(rest.url, { folder, bucket: moto && { moto, name: 'lake' } }, tables);
    stack = cleanUp.use(await RunningStack.start(moto?.env));
    connectorId = await stack.connect('rest', '', {
      uri: rest.url,
      properties: moto && connectorS3(moto),
    });
    job = await stack.trigger(connectorId);
    for (const { table, code } of await stack.failures(job.jobId)) failed.set(table, code);
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it('finds every table', () => {
    expect(job).toMatchObject({ counters: { tablesScanned: BigInt(tables.length) } });
  });

  it.each(named)('has $name as the engines report it', async ({ name, truth }) => {
    if (REFUSED.test(name)) return expect(failed.get(name)).toBe('INVALID_ARGUMENT');
    if (truth.corrupted) return expect(failed.get(name)).toMatch(/^(DATA_LOSS|NOT_FOUND)$/);
    expect(failed.get(name)).toBeUndefined();
    expect(await differences(stack.catalog, await stack.tableId(`rest.${name}`), truth)).toEqual([]);
  });

  it('finds nothing changed in the next run', async () => {
    const again = await stack.trigger(connectorId);
    expect(again).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { tablesChanged: 0n, snapshotsIngested: 0n, filesIngested: 0n },
    });
    expect((await stack.failures(again.jobId)).map(({ table }) => table).sort()).toEqual([...failed.keys()].sort());
  });
});
