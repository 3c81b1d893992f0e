import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { RequestQueues } from '../../../src/catalog/connectors/rate-limit.ts';
import { mostInWindow } from '../../most-in-window.ts';
import { connectorSpec, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it.each([0.01, 0.5, 1, 7, 100, 100_000])(
  'grants %s requests per second, however many callers there are',
  (perSecond) => {
    const queues = new RequestQueues();
    const times: number[] = [];
    // Requests arrive in a burst, then slowly, then not for a long time, then in a burst again.
    const arrivals = [...Array(40).fill(0), ...Array.from({ length: 40 }, (_, i) => i * (2000 / perSecond))];
    for (const pause of [0, 1e7]) {
      for (const at of arrivals) {
        const { granted, waitMs } = queues.take('con_1', perSecond, pause + at);
        times.push(...Array(granted).fill(pause + at + waitMs));
      }
    }
    const windowMs = Math.max(1000, 3000 / perSecond);
    const batch = Math.max(1, Math.floor(perSecond / 10));
    expect(mostInWindow(times, windowMs)).toBeLessThanOrEqual((perSecond * windowMs) / 1000 + batch);
    // No capacity is lost while a caller waits.
    expect(times[39 * batch]).toBeLessThanOrEqual((39 * batch * 1000) / perSecond + 1);
  },
);

it('limits each connector separately, and applies a changed limit at once', () => {
  const queues = new RequestQueues();
  for (let i = 0; i < 50; i++) queues.take('con_1', 1, 0);
  expect(queues.take('con_1', 1, 0).waitMs).toBe(50_000);
  expect(queues.take('con_2', 1, 0).waitMs).toBe(0);
  expect(queues.take('con_1', 10, 0)).toEqual({ granted: 1, waitMs: 0 });
  expect(queues.take('con_1', 10, 0)).toEqual({ granted: 1, waitMs: 100 });
});

it('grants requests according to the stored policy', async () => {
  const { connectors, reconciliation } = catalog.clients;
  const policy = { maxRequestsPerSecond: 20 };
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec({ policy }) });
  expect((await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).policy).toMatchObject(
    policy,
  );
  expect(await reconciliation.acquireRequests({ connectorId })).toEqual({
    granted: 2,
    wait: { seconds: 0n, nanos: 0 },
  });
  expect((await reconciliation.acquireRequests({ connectorId })).granted).toBe(2);
  await connectors.updateConnector({
    connector: { connectorId, policy: { maxRequestsPerSecond: 0 } },
    updateMask: ['policy.max_requests_per_second'],
  });
  expect(await reconciliation.acquireRequests({ connectorId })).toEqual({ granted: 1000 });
  expect(await failure(reconciliation.acquireRequests({ connectorId: 'con_none' }))).toMatchObject({
    code: 'NOT_FOUND',
  });
});
