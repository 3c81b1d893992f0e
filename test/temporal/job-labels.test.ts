import { expect, it } from '@jest/globals';
import type { Client } from '@temporalio/client';
import type { ReconcileRequest } from '../../src/contract/job.ts';
import { SEARCH_ATTRIBUTES } from '../../src/contract/search-attributes.ts';
import { jobLabels } from '../../src/temporal/job-labels.ts';
import { indexedTypeOf } from '../../src/temporal/search-attribute-status.ts';

/** A fake client of a namespace with or without the search attributes. */
function client(registered = true): Client {
  const types = Object.values(SEARCH_ATTRIBUTES).map((key) => [key.name, indexedTypeOf(key)]);
  const customAttributes = registered ? Object.fromEntries(types) : {};
  const operatorService = { listSearchAttributes: async () => ({ customAttributes }) };
  return { options: { namespace: 'data.a1b2c' }, connection: { operatorService } } as unknown as Client;
}

const LAKE = { id: 'con_1', name: 'lake' };
const request = (fields: Partial<ReconcileRequest> = {}): ReconcileRequest => ({ connector: 'con_1', ...fields });
const attributes = async (...args: Parameters<typeof jobLabels>) =>
  Object.fromEntries(
    ((await jobLabels(...args)).typedSearchAttributes?.getAll() ?? []).map(({ key, value }) => [key.name, value]),
  );

it('has the search attributes of the request, if they are registered', async () => {
  expect(await attributes(client(), request({ trigger: 'retry', full: true, dryRun: true }), LAKE)).toEqual({
    ReconcilerConnector: 'lake',
    ReconcilerTenant: 'default',
    ReconcilerMode: 'full',
    ReconcilerTrigger: 'retry',
    ReconcilerDryRun: true,
    ReconcilerPaused: false,
  });
  expect(await attributes(client(), request(), LAKE)).toMatchObject({
    ReconcilerMode: 'incremental',
    ReconcilerTrigger: 'temporal',
    ReconcilerDryRun: false,
  });
  expect(await attributes(client(false), request(), LAKE)).toEqual({});
});

it('puts jobs of people before scheduled ones', async () => {
  const priorityOf = async (trigger: ReconcileRequest['trigger']) =>
    (await jobLabels(client(), request({ trigger }), LAKE)).priority;
  expect(await priorityOf('schedule')).toEqual({ priorityKey: 3, fairnessKey: 'con_1' });
  expect(await priorityOf('manual')).toEqual({ priorityKey: 2, fairnessKey: 'con_1' });
  expect(await priorityOf('retry')).toEqual({ priorityKey: 2, fairnessKey: 'con_1' });
});

it('links to the runs of the connector and to the retried job', async () => {
  const options = { uiBase: 'https://cloud.temporal.io/', retryOf: 'reconcile-lake-1' };
  const { staticDetails } = await jobLabels(client(), request({ retryOf: 'reconcile-lake-1' }), LAKE, options);
  expect(staticDetails).toContain(
    '[all its runs](https://cloud.temporal.io/namespaces/data.a1b2c/workflows?query=ReconcilerConnector%3D%22lake%22)',
  );
  expect(staticDetails).toContain(
    'Only what failed in [reconcile-lake-1](https://cloud.temporal.io/namespaces/data.a1b2c/workflows/reconcile-lake-1)',
  );
  const whole = await jobLabels(client(), request(), LAKE, options);
  expect(whole.staticDetails).toContain('Repeats [reconcile-lake-1](');
  expect(whole.memo).toMatchObject({ retryOf: 'reconcile-lake-1' });
});

it('links within the UI if its address is not known, and to no list without search attributes', async () => {
  const { staticDetails } = await jobLabels(client(), request(), LAKE);
  expect(staticDetails).toContain('](/namespaces/data.a1b2c/workflows?query=');
  const without = await jobLabels(client(false), request(), LAKE);
  expect(without.staticDetails).not.toContain('](');
});

it('quotes names in links and escapes them in Markdown', async () => {
  const { staticDetails } = await jobLabels(client(), request(), { id: 'con_1', name: 'the "new" *(lake)*' });
  expect(staticDetails).toContain('Connector **the "new" \\*(lake)\\***');
  expect(staticDetails).toContain('query=ReconcilerConnector%3D%22the%20%5C%22new%5C%22%20*%28lake%29*%22)');
});

it('contains excerpts of a request of 64 KB only', async () => {
  const columns = Array.from({ length: 6_000 }, (_, i) => `c\`\u{1F986}${i}`);
  const big = request({ scope: { columns }, snapshots: { kind: 'ALL', branches: columns } });
  expect(JSON.stringify(big).length).toBeGreaterThan(64 * 1024);
  const { staticDetails, staticSummary, memo } = await jobLabels(client(), big, {
    id: 'con_1',
    name: '\u{1F986}'.repeat(64),
  });
  expect(Buffer.byteLength(staticDetails)).toBeLessThan(5_000);
  expect(Buffer.byteLength(staticSummary)).toBeLessThan(400);
  expect(Buffer.byteLength(JSON.stringify(memo))).toBeLessThan(5_000);
  // Half a character would be replaced on the way, and a schedule would differ from what was sent.
  for (const text of [staticDetails, staticSummary, memo.request ?? '']) {
    expect(Buffer.from(text).toString()).toBe(text);
  }
  // Two code spans, which no backtick of a name ends.
  expect(staticDetails.split('`')).toHaveLength(1 + 2 + 4);
});
