import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openDirectory } from '../../src/connectors/directory/open-directory.ts';
import { countersOf } from '../../src/contract/progress-message.ts';
import { readManifestList } from '../../src/formats/iceberg/manifests/manifest-list.ts';
import { MetadataFiles } from '../../src/formats/iceberg/metadata-files.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { FileStore } from '../../src/storage/file-store.ts';
import { dumpCatalog } from '../integration/contents/dump.ts';
import { QueueWorkers } from '../integration/stack/queue-workers.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import { type FaultProxy, hang, startFaultProxy } from './fault-proxy.ts';
import { connectorS3 } from './s3/s3-properties.ts';
import { type Moto, startMoto } from './servers/moto.ts';

/** The table's last snapshot wrote nine manifests; with these bounds they are split into three groups of three. */
const WAREHOUSE = join(ROOT, 'test/fixtures/made/iceberg/wh');
const TABLE = 'lineage';
const SPLIT = { above: 9, group: 6 };
const MANIFESTS = 9;
const GROUPS = 3;

const cleanUp = new CleanUp();
let stack: RunningStack;
let moto: Moto;
let proxy: FaultProxy;
let workers: QueueWorkers;

beforeAll(async () => {
  moto = cleanUp.use(await startMoto());
  await moto.createBucket('lake');
  const folder = join(WAREHOUSE, 'mk', TABLE, 'metadata');
  for (const name of readdirSync(folder)) {
    await moto.putObject('lake', `wh/mk/${TABLE}/metadata/${name}`, readFileSync(join(folder, name)));
  }
  proxy = cleanUp.use(await startFaultProxy(moto.url));
  stack = cleanUp.use(await RunningStack.start(moto.env));
  workers = cleanUp.use(
    await QueueWorkers.start(stack, { queue: 'groups', workers: 2, splitSize: SPLIT, env: moto.env }),
  );
});
afterAll(() => cleanUp[Symbol.asyncDispose]());

function connect(name: string, more: object = { policy: { taskQueue: 'groups' } }): Promise<string> {
  return stack.connect(name, '', {
    uri: 's3://lake/wh',
    properties: { ...connectorS3(moto), 's3.endpoint': proxy.url },
    ...more,
  });
}

/** Requests for each manifest since the last call. */
function takeManifestReads(): Record<string, number> {
  const reads: Record<string, number> = {};
  for (const { path } of proxy.requests.splice(0)) {
    const name = basename(path.split('?')[0]!);
    if (/-m\d+\.avro$/.test(name)) reads[name] = (reads[name] ?? 0) + 1;
  }
  return reads;
}

/** The manifests that the table's last snapshot wrote, in the order of its list. */
async function lastManifests(): Promise<string[]> {
  const upstream = await openDirectory(new FileStore(), WAREHOUSE);
  const { descriptor, snapshots } = await upstream.openTable({ namespace: ['mk'], name: TABLE }).then((reader) => ({
    descriptor: reader.descriptor,
    snapshots: reader.snapshots(),
  }));
  let list = '';
  for await (const { snapshotId, manifestList } of snapshots) {
    if (snapshotId === descriptor.currentSnapshotId) list = manifestList;
  }
  const files = new MetadataFiles(new FileStore(), descriptor.location, join(WAREHOUSE, 'mk', TABLE));
  return (await readManifestList(files.ranges(list)))
    .filter(({ addedSnapshotId }) => addedSnapshotId === descriptor.currentSnapshotId)
    .map(({ path }) => basename(path));
}

async function groupEvents(jobId: string) {
  const { events } = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
  const scheduled = (events ?? []).filter(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'ingestFileGroup',
  );
  const ids = scheduled.map(({ eventId }) => String(eventId));
  const started = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: a }) =>
    a && ids.includes(String(a.scheduledEventId)) ? [{ attempt: a.attempt!, identity: a.identity! }] : [],
  );
  return { scheduled: scheduled.length, started };
}

it('repeats only one group if a worker dies in the middle of it, and the catalog ends up complete', async () => {
  const whole = await stack.trigger(await connect('whole', {}));
  expect(whole).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 1n } });
  takeManifestReads();
  const undisturbed = await stack.trigger(await connect('undisturbed'));
  expect(undisturbed).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: {
      tablesChanged: 1n,
      snapshotsIngested: countersOf(whole).snapshotsIngested,
      filesIngested: countersOf(whole).filesIngested,
    },
  });
  const reads = takeManifestReads();
  const dump = await dumpCatalog(stack.catalog, 'whole');
  expect(await dumpCatalog(stack.catalog, 'undisturbed')).toEqual(dump);
  expect((await groupEvents(undisturbed.jobId)).scheduled).toBe(GROUPS);

  // Within the second group, after its first manifest.
  const manifests = await lastManifests();
  expect(manifests.length).toBe(MANIFESTS);
  const [first, stuck, last] = manifests.slice(3, 6) as [string, string, string];
  let hung: () => void;
  const hangs = new Promise<void>((resolve) => {
    hung = resolve;
  });
  const hangOnce = (exchange: Parameters<typeof hang>[0]) => {
    hung();
    return hang(exchange);
  };
  proxy.rules = [{ path: new RegExp(stuck), hits: (n) => n === 1, fault: hangOnce }];
  const connectorId = await connect('disturbed');
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  await hangs;
  const isStuck = async () => {
    const { raw } = await stack.temporal.workflow.getHandle(jobId).describe();
    return (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'ingestFileGroup');
  };
  // The other groups continue in the meantime.
  while ((await isStuck()).length !== 1) await new Promise((resolve) => setTimeout(resolve, 50));
  const identity = (await isStuck())[0]!.lastWorkerIdentity ?? '';
  const pid = workers.pids.find((each) => identity.startsWith(`${each}@`));
  process.kill(pid!, 'SIGKILL');

  const job = await stack.ended(jobId);
  expect(job).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: {
      errors: 0n,
      snapshotsIngested: countersOf(whole).snapshotsIngested,
      filesIngested: countersOf(whole).filesIngested,
    },
  });
  expect(await dumpCatalog(stack.catalog, 'disturbed')).toEqual(dump);
  const { scheduled, started } = await groupEvents(jobId);
  expect(scheduled).toBe(GROUPS);
  expect(started.filter(({ attempt }) => attempt > 1)).toEqual([{ attempt: 2, identity: expect.any(String) }]);
  expect(started.find(({ attempt }) => attempt > 1)!.identity).not.toBe(identity);

  const again = takeManifestReads();
  const repeated = Object.keys(again).filter((name) => again[name] !== reads[name]);
  expect(repeated.sort()).toEqual([first, stuck].sort());
  expect(again[last]).toBe(reads[last]);
}, 300_000);
