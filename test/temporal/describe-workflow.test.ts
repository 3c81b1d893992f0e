import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import { temporalJobControl } from '../../src/temporal/job-control.ts';
import { EncryptionCodec } from '../../src/temporal/payload-codec.ts';
import { TemporalServer } from '../integration/stack/temporal-server.ts';

let temporal: TemporalServer;
beforeAll(async () => {
  temporal = await TemporalServer.start();
}, 120_000);
afterAll(() => temporal?.[Symbol.asyncDispose]());

/** Job control of a process that has only this key. */
const controlWith = (key: string) =>
  temporalJobControl(async () => {
    const payloadCodecs = [new EncryptionCodec(new Map([[key, randomBytes(32)]]))];
    return new Client({ connection: temporal.client.connection, dataConverter: { payloadCodecs } });
  });

it('the status of a job is seen without the key of its memo', async () => {
  const { runId } = await controlWith('k1').start('job', { connector: 'con_1' }, { id: 'con_1', name: 'lake' });
  const other = controlWith('k2');
  expect(await other.describe('job')).toBe('RUNNING');
  // Started before: the call returns the same run.
  expect(await other.start('job', { connector: 'con_1' }, { id: 'con_1', name: 'lake' })).toEqual({ runId });
  await temporal.client.workflow.getHandle('job').terminate();
  expect(await other.describe('job')).toBe('TERMINATED');
  expect(await other.describe('no such job')).toBeUndefined();
});
