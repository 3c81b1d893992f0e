import { expect, it } from '@jest/globals';
import { inTenant, tenantOfWorker } from '../../../src/activities/runtime/in-tenant.ts';
import { currentTenant } from '../../../src/catalog-client/tenant.ts';
import { interceptors } from '../../../src/workflows/tenant.ts';

type Headers = Record<string, never>;
type Next = (input: { headers: Headers }) => Promise<unknown>;

/** Runs a workflow that makes an activity, and returns the tenant of the activity, and the headers of the workflow's child. */
async function run(args: unknown[], headers: Headers = {}) {
  const [{ inbound = [], outbound = [] }, found] = [interceptors(), { tenant: '', headers: {} as Headers }];
  const activity = inTenant(async () => 'of-the-worker')({ info: { attempt: 1 } } as never).inbound
    ?.execute as unknown as (input: object, next: Next) => Promise<unknown>;
  const call = (method: string) =>
    (outbound[0] as unknown as Record<string, (input: object, next: Next) => Promise<unknown>>)[method]!;
  await inbound[0]?.execute?.({ args, headers }, async () => {
    await call('scheduleActivity')({ headers: {} }, (input) =>
      activity(input, async () => {
        found.tenant = currentTenant();
      }),
    );
    await call('startChildWorkflowExecution')({ headers: {} }, async (input) => {
      found.headers = input.headers;
    });
  });
  return found;
}

it('an activity works for the tenant that its workflow was started for', async () => {
  expect(await run([{ connector: 'lake', tenant: 'acme' }])).toMatchObject({ tenant: 'acme' });
});

it('a child has the tenant of its parent', async () => {
  const { headers } = await run([{ tenant: 'acme' }]);
  expect(await run([{}], headers)).toMatchObject({ tenant: 'acme' });
});

it.each([[{}], [{ tenant: 'no tenant' }], [{ tenant: 7 }], [null]])(
  'a workflow of %j names no tenant: its activities have that of the worker',
  async (request) => {
    expect(await run([request])).toEqual({ tenant: 'of-the-worker', headers: {} });
  },
);

it.each([
  [['acme'], undefined, 'acme'],
  [['*'], undefined, 'default'],
  [['acme', 'umbrella'], undefined, 'default'],
  [['acme', 'umbrella'], 'umbrella', 'umbrella'],
])('a worker with a token of %j and RECONCILER_TENANT=%s works for %s', async (tenantIds, configured, tenant) => {
  let calls = 0;
  const getCaller = async () => {
    calls++;
    if (calls === 1) throw new Error('the catalog is away');
    return { tenantIds };
  };
  const ownTenant = tenantOfWorker({ tokens: { getCaller } } as never, configured);
  if (configured === undefined) await expect(ownTenant()).rejects.toThrow('away');
  expect([await ownTenant(), await ownTenant()]).toEqual([tenant, tenant]);
  expect(calls).toBe(configured === undefined ? 2 : 0);
});
