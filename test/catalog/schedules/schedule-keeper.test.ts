import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { CodedError } from '../../../src/errors.ts';
import { poll } from '../../jest/poll.ts';
import { connectorSpec, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const create = (displayName: string) =>
  catalog.clients.connectors.createConnector({
    connector: connectorSpec({ displayName, policy: { interval: { seconds: 3600n }, enabled: true } }),
  });

it('continues with the other schedules if Temporal refuses one', async () => {
  const { schedules } = catalog.jobs;
  const put = schedules.put.bind(schedules);
  let refused = 0;
  schedules.put = async (desired) => {
    if (desired.connector.name !== 'refused') return put(desired);
    refused += 1;
    throw new CodedError('INVALID_ARGUMENT', 'Temporal refuses it');
  };
  const first = await create('refused');
  await poll(() => refused, { timeout: 30_000 }).toBeGreaterThan(2);
  const second = await create('taken');
  await poll(() => schedules.kept.has(second.connectorId), { timeout: 30_000 }).toBe(true);
  let listed = 0;
  const list = schedules.list.bind(schedules);
  schedules.list = async () => {
    listed += 1;
    return list();
  };
  await catalog.restart();
  await poll(() => listed, { timeout: 30_000 }).toBe(1);
  const before = refused;
  await poll(() => refused, { timeout: 30_000 }).toBeGreaterThan(before + 1);
  // Only the refused schedule is tried again.
  expect(listed).toBe(1);
  expect(catalog.log.join()).toContain(`Temporal refused the schedule of connector ${first.connectorId}`);
  schedules.put = put;
  await poll(() => schedules.kept.has(first.connectorId), { timeout: 90_000 }).toBe(true);
});
