import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ClientError, Status } from 'nice-grpc';
import { withHeartbeat } from '../../../src/activities/runtime/heartbeat.ts';
import { rateLimiters } from '../../../src/activities/runtime/rate-limiter.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { mostInWindow } from '../../most-in-window.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

async function capped(maxRequestsPerSecond: number): Promise<string> {
  const connector = connectorSpec({ policy: { maxRequestsPerSecond } });
  return (await catalog.clients.connectors.createConnector({ connector })).connectorId;
}

it('keeps two workers together below the limit, at ten calls per second', async () => {
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
  // One after the other: the next request uses what was granted and not used.
  for (let i = 0; i < 40; i++) await ask(one);
  expect(times.length).toBe(340);
  // Plus a batch of ten: the catalog's own, late requests of each worker, and what a worker may hold back.
  expect(mostInWindow(times, 1000)).toBeLessThanOrEqual(100 + 4 * 10);
  expect(takes.mock.calls.length).toBeLessThan(340 / 4);
});

it('waits while the catalog is unavailable, and passes other errors on', async () => {
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

it('reports its wait to the activity, keeps the details of the previous attempt, and ends with the activity', async () => {
  const connectorId = await capped(0.01);
  const gate = rateLimiters(catalog.clients)(connectorId);
  await gate();
  const env = new MockActivityEnvironment({ heartbeatDetails: { position: 7 } });
  const beats: unknown[] = [];
  const reported = new Promise<void>((resolve) => {
    env.on('heartbeat', (details) => {
      beats.push(details);
      if (beats.length === 2) resolve();
    });
  });
  const work = env.run(() => withHeartbeat('Something', {}, () => gate()));
  await reported;
  expect(beats).toEqual([{ position: 7 }, { position: 7 }]);
  env.cancel('CANCELLED');
  await expect(work).rejects.toThrow('CANCELLED');
}, 60_000);
