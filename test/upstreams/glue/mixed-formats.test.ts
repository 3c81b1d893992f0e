import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { MissingAction } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { RunningStack } from '../../integration/stack/running-stack.ts';
import { CleanUp } from '../clean-up.ts';
import { connectorS3 } from '../s3/s3-properties.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { runPython } from '../servers/python.ts';
import { startGlueProxy } from './glue-proxy.ts';

const SCRIPT = fileURLToPath(new URL('glue-tables.py', import.meta.url));
/** Written by delta-rs: versions 0 to 6, of which the last has four files. */
const FIXTURE = fileURLToPath(new URL('../../fixtures/delta/rs_partitioned', import.meta.url));

const cleanUp = new CleanUp();
let stack: RunningStack;
let moto: Moto;
let uri: string;
beforeAll(async () => {
  moto = cleanUp.use(await startMoto());
  const proxy = cleanUp.use(await startGlueProxy(moto.url));
  uri = proxy.url;
  await runPython(SCRIPT, [moto.url, 'mixed', FIXTURE], { env: moto.env });
  stack = cleanUp.use(await RunningStack.start(moto.env));
});
afterAll(() => cleanUp[Symbol.asyncDispose]());

/** Tables of the database, with their format and the number of snapshots and files. */
async function tables(catalog: string): Promise<Record<string, [string, number, number]>> {
  const { namespaceId } = await stack.catalog.directory.resolve({ name: { $case: 'text', value: `${catalog}.mixed` } });
  const found: Record<string, [string, number, number]> = {};
  for (const { name, tableId, format } of (await stack.catalog.tables.listTables({ namespaceId })).tables) {
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId });
    let files = 0;
    for await (const part of stack.catalog.plans.streamPlan({ tableId })) files += part.files.length;
    found[name] = [format.replace('TABLE_FORMAT_', ''), snapshots.length, files];
  }
  return found;
}

const propertiesOf = (formats: string) => ({
  ...connectorS3(moto),
  'glue.formats': formats,
  'client.region': moto.access.region,
});

const DELTA = { orders: ['DELTA', 7, 4], uniform: ['DELTA', 7, 4] };
const ICEBERG = { events: ['ICEBERG', 1, 1] };

it.each([
  ['both', '', { ...DELTA, ...ICEBERG }, 1n],
  ['delta', 'delta', DELTA, 2n],
  ['iceberg', 'iceberg', ICEBERG, 3n],
])('a database with both formats is ingested with %s', async (name, formats, expected, filtered) => {
  const properties = propertiesOf(formats);
  const connectorId = await stack.connect(name, '', { kind: 'CONNECTOR_KIND_GLUE', uri, properties });
  const job = await stack.trigger(connectorId);
  expect(await stack.failures(job.jobId)).toEqual([]);
  expect(job).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesChanged: BigInt(Object.keys(expected).length), tablesFiltered: filtered },
  });
  expect(await tables(name)).toEqual(expected);
  expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n, tablesMissing: 0n } });
});

it('tables of a format that is no longer selected stay as they are', async () => {
  const missing = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 }, maxShare: 1 };
  const connectorId = await stack.connect('narrowed', '', {
    kind: 'CONNECTOR_KIND_GLUE',
    uri,
    properties: propertiesOf(''),
    policy: { missing },
  });
  await stack.trigger(connectorId);
  const connector = { connectorId, properties: propertiesOf('iceberg') };
  await stack.catalog.connectors.updateConnector({ connector, updateMask: ['properties'] });
  expect(await stack.trigger(connectorId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesScanned: 1n, tablesChanged: 0n, tablesMissing: 0n, tablesDropped: 0n },
  });
  expect(await tables('narrowed')).toEqual({ ...DELTA, ...ICEBERG });
});
