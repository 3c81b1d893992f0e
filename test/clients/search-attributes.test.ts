import { expect, it } from '@jest/globals';
import type { Client } from '@temporalio/client';
import { registerSearchAttributes } from '../../src/temporal/search-attributes-registered.ts';

/** Temporal Cloud, which nobody has at hand: it lists them and refuses to register any. */
const cloud = {
  options: { namespace: 'data.a1b2c' },
  connection: {
    workflowService: { describeNamespace: async () => ({ config: {} }) },
    operatorService: {
      listSearchAttributes: async () => ({ customAttributes: { ReconcilerMode: 2 } }),
      addSearchAttributes: async () => {
        throw Object.assign(new Error('7 PERMISSION_DENIED: Request unauthorized.'), {
          code: 7,
          details: 'Request unauthorized.',
          metadata: {},
        });
      },
    },
  },
} as unknown as Client;

it('says how to register them where the caller may not: those that are missing', async () => {
  const error = await registerSearchAttributes(cloud).catch((e) => e);
  expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(error.message).toContain(
    'tcld namespace search-attributes add --namespace data.a1b2c --search-attribute "ReconcilerConnector=Keyword" --search-attribute "ReconcilerTenant=Keyword" --search-attribute "ReconcilerOutcome=Keyword"',
  );
  expect(error.message).not.toContain('ReconcilerMode');
});
