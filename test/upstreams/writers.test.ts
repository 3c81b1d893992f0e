import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { type WrittenTable, write } from './engines.ts';
import { connectorS3, pyicebergS3 } from './s3/s3-properties.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { startMoto } from './servers/moto.ts';

describe('while pyiceberg appends, overwrites, deletes, evolves, rolls back, expires, drops, recreates and renames', () => {
  const cleanUp = new CleanUp();
  const states: JobState[] = [];
  const failures: string[] = [];
  let stack: RunningStack;
  let connectorId: string;
  let written: WrittenTable[];

  beforeAll(async () => {
    const moto = cleanUp.use(await startMoto());
    await moto.createBucket('lake');
    const rest = cleanUp.use(await startIcebergRest({ warehouse: 's3://lake/warehouse', s3: moto }));
    stack = cleanUp.use(await RunningStack.start(moto.env));
    // With so few tables, the writers may drop any share of them at once.
    const policy = { missing: { maxShare: 1 } };
    connectorId = await stack.connect('busy', '', { uri: rest.url, properties: connectorS3(moto), policy });

    let writing = true;
    const input = {
      catalog: { uri: rest.url, ...pyicebergS3(moto) },
      seed: 4,
      tables: 6,
      operations: 60,
      pause: 0,
    };
    const writer = write('keep_writing.py', [], input).finally(() => {
      writing = false;
    });
    // Some runs are full rescans, which verify tables that change at the same time.
    for (let n = 0; writing; n++) {
      const job = await stack.trigger(connectorId, { full: n % 4 === 3 });
      states.push(job.state);
      for (const { table, code, message } of await stack.failures(job.jobId))
        failures.push(`${table}: ${code} ${message}`);
    }
    written = await writer;
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it('runs continue', () => {
    expect(states.length).toBeGreaterThan(3);
    expect(states).toContain(JobState.JS_SUCCEEDED);
    // Tables that are dropped during a run may fail in it, but no metadata is corrupt.
    for (const failure of failures) expect(failure).not.toMatch(/: (INTERNAL|INVALID_ARGUMENT|UNIMPLEMENTED) /);
  });

  it('one more run makes the catalog equal to the truth', async () => {
    const job = await stack.trigger(connectorId);
    expect(await stack.failures(job.jobId)).toEqual([]);
    expect(job.state).toBe(JobState.JS_SUCCEEDED);
    const wrong: Record<string, string[]> = {};
    for (const { path, truth } of written) {
      const found = await differences(stack.catalog, await stack.tableId(formatName(['busy', ...path])), truth);
      if (found.length > 0) wrong[formatName(path)] = found;
    }
    expect(wrong).toEqual({});
  });

  it('the catalog then has exactly the existing tables, and the others are marked as missing', async () => {
    const { namespaceId } = await stack.catalog.directory.resolve({
      name: { $case: 'text', value: 'busy.busy' },
      object: false,
    });
    const { tables } = await stack.catalog.tables.listTables({ namespaceId, pageSize: 1000 });
    const there = tables.filter(({ upstream }) => !upstream?.missingSince).map(({ name }) => name);
    expect(there.sort()).toEqual(written.map(({ path }) => path.at(-1)).sort());
    expect(tables.length).toBeGreaterThan(there.length);
  });

  it('a full rescan has nothing to repair', async () => {
    const full = await stack.trigger(connectorId, { full: true });
    expect(full).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n, tablesChanged: 0n } });
  });
});
