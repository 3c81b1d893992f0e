import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { connectorPool } from '../../../src/activities/runtime/connector-pool.ts';
import { requestsMade } from '../../../src/activities/runtime/request-count.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { CodedError } from '../../../src/errors.ts';
import { plainSpec } from '../../connectors/spec.ts';

const opened: { uri: string; closed: boolean; times: number; answer: () => Promise<never> | Promise<{ items: [] }> }[] =
  [];

async function open({ uri }: { uri: string }): Promise<UpstreamCatalog> {
  if (uri === 'broken') throw new CodedError('UNAVAILABLE', 'no');
  const created = { uri, closed: false, times: 0, answer: async () => ({ items: [] as [] }) };
  opened.push(created);
  return {
    usage: { requests: 0, bytes: 0 },
    listNamespaces: () => created.answer(),
    listTables: () => created.answer(),
    fingerprint: async () => 'x',
    openTable: () => Promise.reject(new Error('not used')),
    [Symbol.asyncDispose]: async () => {
      created.closed = true;
      created.times += 1;
    },
  };
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] });
  opened.length = 0;
});
afterEach(() => void jest.useRealTimers());

describe('connectorPool', () => {
  const share = () => {
    const lease = connectorPool(open);
    return (uri: string, jobId = 'job') => lease(plainSpec('ICEBERG', uri), jobId);
  };

  it('opens one upstream for all users at the same time or soon after, and closes it then', async () => {
    const lease = share();
    const [a, b] = await Promise.all([lease('one'), lease('one')]);
    await lease('two');
    expect(opened.map(({ uri }) => uri)).toEqual(['one', 'two']);
    await a[Symbol.asyncDispose]();
    await a[Symbol.asyncDispose]();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(opened[0]?.closed).toBe(false);
    await b[Symbol.asyncDispose]();
    await (await lease('one'))[Symbol.asyncDispose]();
    expect(opened).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(31_000);
    expect(opened.map(({ closed }) => closed)).toEqual([true, false]);
  });

  it('opens it again for another job, so that a changed secret is read', async () => {
    const lease = share();
    await lease('one', 'job-1');
    await lease('one', 'job-2');
    expect(opened).toHaveLength(2);
  });

  it('opens it again after ten minutes, after its credentials were rejected, and after it did not open', async () => {
    const lease = share();
    const old = await lease('one');
    await jest.advanceTimersByTimeAsync(601_000);
    const fresh = await lease('one');
    expect(opened).toHaveLength(2);
    await old[Symbol.asyncDispose]();
    await jest.advanceTimersByTimeAsync(0);
    expect(opened.map(({ closed }) => closed)).toEqual([true, false]);

    opened[1]!.answer = () => Promise.reject(new CodedError('UNAUTHENTICATED', 'expired'));
    await expect(fresh.listTables([], { size: 1 })).rejects.toThrow('expired');
    expect(opened[1]?.closed).toBe(false);
    await lease('one');
    expect(opened).toHaveLength(3);

    await expect(lease('broken')).rejects.toThrow('no');
    await expect(lease('broken')).rejects.toThrow('no');
  });

  it('closes each upstream once, and keeps no timer afterwards', async () => {
    const upstream = await share()('one');
    await upstream[Symbol.asyncDispose]();
    await jest.advanceTimersByTimeAsync(31_000);
    expect(jest.getTimerCount()).toBe(0);
    await jest.advanceTimersByTimeAsync(601_000);
    expect(opened[0]?.times).toBe(1);
  });

  it('has views only if the upstream has', async () => {
    const upstream = await share()('one');
    expect(upstream.listViews).toBeUndefined();
    expect(upstream.describeView).toBeUndefined();
  });
});

describe('requestsMade', () => {
  it('counts each request once', () => {
    const usage = { requests: 3, bytes: 0 };
    expect(requestsMade(usage)).toBe(3);
    expect(requestsMade(usage)).toBe(0);
    usage.requests = 5;
    expect(requestsMade(usage)).toBe(2);
    expect(requestsMade({ requests: 1, bytes: 0 })).toBe(1);
  });
});
