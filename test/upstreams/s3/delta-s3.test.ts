import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { RunningStack } from '../../integration/stack/running-stack.ts';
import { CleanUp } from '../clean-up.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { runPython } from '../servers/python.ts';
import { connectorS3 } from './s3-properties.ts';

const SCRIPT = fileURLToPath(new URL('delta_s3.py', import.meta.url));
const WAREHOUSE = 's3://lake/ware house';
const SUCCEEDED = JobState.JS_SUCCEEDED;

interface Version {
  version: number;
  operation: string;
  /** Rows by the file's URI. */
  files: Record<string, number>;
}

describe('Delta tables that delta-rs writes to S3', () => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  let moto: Moto;
  beforeAll(async () => {
    moto = cleanUp.use(await startMoto());
    await moto.createBucket('lake');
    await step('make');
    stack = cleanUp.use(await RunningStack.start(moto.env));
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  const step = (name: string) => runPython(SCRIPT, [name, WAREHOUSE], { env: moto.env });
  const truth = async (): Promise<Record<string, Version[]>> => JSON.parse(await step('truth'));
  const connect = (name: string, uri: string, more: object = {}) =>
    stack.connect(name, '', { kind: 'CONNECTOR_KIND_DELTA', uri, properties: connectorS3(moto), ...more });

  /** The versions that the catalog has of a table, with the files of their plans. */
  async function stored(table: string): Promise<Version[]> {
    const tableId = await stack.tableId(table);
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000 });
    const versions: Version[] = [];
    for (const { snapshotId, operation } of snapshots) {
      const files: Record<string, number> = {};
      for await (const part of stack.catalog.plans.streamPlan({ tableId, snapshotId })) {
        for (const { file } of part.files) files[file!.filePath] = Number(file!.recordCount);
      }
      versions.push({ version: Number(snapshotId), operation, files });
    }
    return versions.sort((a, b) => a.version - b.version);
  }

  /** Compares the tables in namespaces. */
  async function expectTruth(catalog: string): Promise<void> {
    for (const [folder, versions] of Object.entries(await truth())) {
      if (!folder.includes('/')) continue;
      expect({ [folder]: await stored(`${catalog}.${folder.replaceAll('/', '.')}`) }).toEqual({ [folder]: versions });
    }
  }

  it('are ingested from the folder of a warehouse, with each version, and then only what is new', async () => {
    const source = { excludeTables: ['events'] };
    const connectorId = await connect('lake', WAREHOUSE, { source });
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: SUCCEEDED,
      counters: { tablesScanned: 2n, tablesChanged: 2n, snapshotsIngested: 5n, tablesFiltered: 1n },
    });
    await expectTruth('lake');

    const unchanged = await stack.trigger(connectorId);
    expect(unchanged).toMatchObject({ state: SUCCEEDED, counters: { tablesUnchanged: 2n, bytesRead: 0n } });

    await step('more');
    const versions = (await truth())['sales/orders'] as Version[];
    const next = await stack.trigger(connectorId);
    expect(next).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 2n, tablesUnchanged: 1n } });
    // The four versions that it had, and one of the new table.
    expect(Number(next.counters?.snapshotsIngested)).toBe(versions.length - 4 + 1);
    await expectTruth('lake');
    expect(await stack.trigger(connectorId, { full: true })).toMatchObject({
      state: SUCCEEDED,
      counters: { errors: 0n },
    });
    await expectTruth('lake');
  });

  it.each([
    ['s3://', ''],
    ['s3a://', '/'],
  ])('are ingested from the URI of a single table, %s…%s', async (scheme, end) => {
    const name = scheme.replace('://', '-table');
    const uri = `${WAREHOUSE.replace('s3://', scheme)}/events${end}`;
    const connectorId = await connect(name, uri, { destination: { catalogName: name, namespacePath: ['all'] } });
    expect(await stack.trigger(connectorId)).toMatchObject({ state: SUCCEEDED, counters: { tablesChanged: 1n } });
    const expected = (await truth()).events;
    const plain = (await stored(`${name}.all.events`)).map(({ files, ...version }) => ({
      ...version,
      files: Object.fromEntries(Object.entries(files).map(([path, rows]) => [path.replace(/^s3a:/, 's3:'), rows])),
    }));
    expect(plain).toEqual(expected);
    expect(await stack.trigger(connectorId)).toMatchObject({ state: SUCCEEDED, counters: { tablesUnchanged: 1n } });
  });

  it('fail with what is wrong if the folder or the bucket does not exist', async () => {
    const nothing = await stack.trigger(await connect('nothing', 's3://lake/no such folder'));
    expect(nothing).toMatchObject({
      state: JobState.JS_FAILED,
      message: expect.stringMatching(/connector URI s3:\/\/lake\/no such folder: .*there is no such folder/),
    });
    const bucket = await stack.trigger(await connect('bucket', 's3://nobody/x'));
    expect(bucket).toMatchObject({
      state: JobState.JS_FAILED,
      message: expect.stringMatching(/there is no bucket nobody/),
    });
  });
});
