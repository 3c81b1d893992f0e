import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import { ServiceError } from '@temporalio/client';
import type { JobControl } from '../../src/contract/job-control.ts';
import { CodedError } from '../../src/errors.ts';
import type { OutageLog } from '../../src/telemetry/outage-log.ts';
import { logOutages } from '../../src/temporal/log-outages.ts';
import { networkReason, TemporalUnreachable } from '../../src/temporal/temporal-errors.ts';

/** An error of the SDK whose cause is gRPC's. */
function unreachable(code: status, details: string): TemporalUnreachable {
  const grpc = Object.assign(new Error(`14 UNAVAILABLE: ${details}`), { code, details, metadata: {} });
  return new TemporalUnreachable('Temporal cannot be reached.', { cause: new ServiceError('failed', { cause: grpc }) });
}

const REFUSED = 'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7233. Resolution note: ';

/** Job control whose calls fail with `error`, and the outages that were reported. */
function watched(error: Error) {
  const reported: { reason: string; probe: () => Promise<string | undefined> }[] = [];
  const outages: OutageLog = { failed: (reason, probe) => void reported.push({ reason, probe }), stop() {} };
  const server = { error: error as Error | undefined };
  const call = async () => {
    if (server.error) throw server.error;
    return 'answer';
  };
  const control = { describe: call, schedules: { list: call, put: call } } as unknown as JobControl;
  return { control: logOutages(control, outages), reported, server };
}

it('reports calls that find Temporal away, with a probe that finds out when it is back', async () => {
  const error = unreachable(status.UNAVAILABLE, REFUSED);
  const { control, reported, server } = watched(error);
  await expect(control.describe('job')).rejects.toBe(error);
  await expect(control.schedules.put({} as never)).rejects.toBe(error);
  expect(reported.map(({ reason }) => reason)).toEqual(Array(2).fill('connect ECONNREFUSED 127.0.0.1:7233'));
  const probe = reported[0]?.probe;
  expect(await probe?.()).toBe('connect ECONNREFUSED 127.0.0.1:7233');
  server.error = undefined;
  expect(await probe?.()).toBeUndefined();
  expect(await control.describe('job')).toBe('answer');
  // The probe itself is not reported.
  expect(reported).toHaveLength(2);
});

it('reports no other errors', async () => {
  const error = new CodedError('UNAVAILABLE', 'no worker took the validation');
  const { control, reported } = watched(error);
  await expect(control.describe('job')).rejects.toBe(error);
  expect(reported).toEqual([]);
});

it('describes a call that took too long, and keeps the address of a failed connection', () => {
  expect(networkReason(unreachable(status.DEADLINE_EXCEEDED, 'Deadline exceeded after 10s'))).toBe('no answer in time');
  const cause = new Error('Failed to connect before the deadline');
  expect(networkReason(new TemporalUnreachable('Temporal cannot be reached at t:7233.', { cause }))).toBe(
    'Temporal cannot be reached at t:7233.',
  );
});
