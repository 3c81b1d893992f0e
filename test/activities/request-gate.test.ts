import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ClientError, Status } from 'nice-grpc';
import { withHeartbeat } from '../../src/activities/runtime/heartbeat.ts';
import { rateLimiters } from '../../src/activities/runtime/rate-limiter.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { mostInWindow } from '../most-in-window.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

async function capped(maxRequestsPerSecond: number): Promise<string> {
  const connector = connectorSpec({ policy: { maxRequestsPerSecond } });
  return (await catalog.clients.connectors.createConnector({ connector })).connectorId;
}

it('keeps two workers together below the cap, at ten calls a second', async () => {
  const connectorId = await capped(100);
  const takes = jest.fn(catalog.clients.reconciliation.acquireRequests);
  const clients = { reconciliation: { ...catalog.clients.reconciliation, acquireRequests: takes } };
  const times: number[] = [];
  const [one, other] = [rateLimiters(clients)(connectorId), rateLimiters(clients)(connectorId)];
  const ask = async (gate: () => Promise<void>) => {
    await gate();
    times.push(performance.now());
  };
  await Promise.all(Array.from({ length: 300 }, (_, i) => ask(i % 2 ? one : other)));
  // One after the other: what was given and not used is used by the next.
  for (let i = 0; i < 40; i++) await ask(one);
  expect(times.length).toBe(340);
  // And a batch of ten: the catalog's, what each worker makes late, and what it may hold back.
  expect(mostInWindow(times, 1000)).toBeLessThanOrEqual(100 + 4 * 10);
  expect(takes.mock.calls.length).toBeLessThan(340 / 4);
});

it('waits while the catalog is away, and says what else is wrong', async () => {
  let answers = 0;
  const acquireRequests = async () => {
    answers += 1;
    if (answers < 3) throw new ClientError('AcquireRequests', Status.UNAVAILABLE, 'away');
    if (answers > 3) throw new ClientError('AcquireRequests', Status.NOT_FOUND, 'the connector is gone');
    return { granted: 1 };
  };
  const gate = rateLimiters({ reconciliation: { ...catalog.clients.reconciliation, acquireRequests } })('con_1');
  await gate();
  expect(answers).toBe(3);
  await expect(gate()).rejects.toThrow('the connector is gone');
});

it('tells the activity that it waits, without what its attempt before has told being lost, and ends with it', async () => {
  const connectorId = await capped(0.01);
  const gate = rateLimiters(catalog.clients)(connectorId);
  await gate();
  const env = new MockActivityEnvironment({ heartbeatDetails: { position: 7 } });
  const beats: unknown[] = [];
  const told = new Promise<void>((resolve) => {
    env.on('heartbeat', (details) => {
      beats.push(details);
      if (beats.length === 2) resolve();
    });
  });
  const work = env.run(() => withHeartbeat('Something', () => gate()));
  await told;
  expect(beats).toEqual([{ position: 7 }, { position: 7 }]);
  env.cancel('CANCELLED');
  await expect(work).rejects.toThrow('CANCELLED');
}, 60_000);
