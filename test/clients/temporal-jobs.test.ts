import type { Client } from '@temporalio/client';
import { expect, it } from 'vitest';
import { temporalJobControl } from '../../src/clients/temporal-jobs.ts';
import { newProgress, type TableOutcome } from '../../src/workflows/contract.ts';

/** A workflow with activities under way. A real one is over before anybody has asked twice. */
function client(heartbeats: unknown[]): Client {
  const pendingActivities = heartbeats.map((beat) => ({
    heartbeatDetails: { payloads: [{ data: Buffer.from(JSON.stringify(beat)) }] },
  }));
  const handle = {
    query: async () => ({
      ...newProgress(),
      state: 'JS_RUNNING',
      tablesScanned: 60,
      tablesChanged: 20,
      filesIngested: 9,
    }),
    describe: async () => ({ raw: { pendingActivities: [...pendingActivities, {}] } }),
  };
  return {
    workflow: { getHandle: () => handle },
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

it('counts with what is under way, of packs the tables that are done', async () => {
  const failure = { code: 'DATA_LOSS', message: 'no' };
  const done = [outcome({}), outcome({ changed: false, snapshots: 0, files: 0 }), outcome({ changed: false, failure })];
  const jobs = temporalJobControl(async () =>
    client([
      { snapshots: 2, files: 4, bytesRead: 30, done },
      { snapshots: 0, files: 5, bytesRead: 7 },
    ]),
  );
  expect(await jobs.progress('job')).toMatchObject({
    tablesScanned: 60,
    tablesChanged: 21,
    tablesUnchanged: 1,
    errors: 0,
    snapshotsIngested: 2,
    filesIngested: 18,
    bytesRead: 37,
  });
});
