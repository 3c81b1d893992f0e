import { randomBytes } from 'node:crypto';
import { expect, it } from '@jest/globals';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import type { TableOutcome } from '../../src/contract/activities.ts';
import { newProgress } from '../../src/contract/job.ts';
import { temporalJobControl } from '../../src/temporal/job-control.ts';
import { EncryptionCodec } from '../../src/temporal/payload-codec.ts';

/** A fake client of a workflow with running activities, because a real one would end between two queries. */
async function client(heartbeats: unknown[], payloadCodecs: PayloadCodec[] = []): Promise<Client> {
  const pendingActivities = await Promise.all(
    heartbeats.map(async (heartbeat) => {
      let payloads = [{ data: Buffer.from(JSON.stringify(heartbeat)) }] as Awaited<ReturnType<PayloadCodec['encode']>>;
      for (const codec of payloadCodecs) payloads = await codec.encode(payloads);
      return { heartbeatDetails: { payloads } };
    }),
  );
  const handle = {
    query: async () => ({
      ...newProgress(),
      state: 'JS_RUNNING',
      counters: { tablesScanned: 60, tablesChanged: 20, filesIngested: 9 },
    }),
  };
  const describeWorkflowExecution = async () => ({ pendingActivities: [...pendingActivities, {}] });
  return {
    options: { loadedDataConverter: { payloadCodecs } },
    workflow: { getHandle: () => handle },
    workflowService: { describeWorkflowExecution },
    withDeadline: (_: number, call: () => Promise<unknown>) => call(),
  } as unknown as Client;
}

const outcome = (fields: Partial<TableOutcome>): TableOutcome => ({
  changed: true,
  snapshots: 1,
  files: 2,
  bytesRead: 10,
  ...fields,
});

it.each([
  ['', []],
  [', decoded by a codec', [new EncryptionCodec(new Map([['k', randomBytes(32)]]))]],
])('adds the counts of running activities, and for packs the tables that are done%s', async (_, codecs) => {
  const failure = { code: 'DATA_LOSS', message: 'no' };
  const done = [outcome({}), outcome({ changed: false, snapshots: 0, files: 0 }), outcome({ changed: false, failure })];
  const jobs = temporalJobControl(async () =>
    client(
      [
        { snapshots: 2, files: 4, bytesRead: 30, done },
        { snapshots: 0, files: 5, bytesRead: 7 },
      ],
      codecs,
    ),
  );
  expect(await jobs.progress('job')).toMatchObject({
    counters: {
      tablesScanned: 60,
      tablesChanged: 21,
      tablesUnchanged: 1,
      snapshotsIngested: 2,
      filesIngested: 18,
      bytesRead: 37,
    },
  });
});
