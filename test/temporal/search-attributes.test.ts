import { status } from '@grpc/grpc-js';
import { expect, it } from '@jest/globals';
import type { Client } from '@temporalio/client';
import { registerSearchAttributes } from '../../src/temporal/search-attributes-registered.ts';

/** A fake of Temporal Cloud, which lists search attributes and refuses to register any. */
const cloud = {
  options: { namespace: 'data.a1b2c' },
  connection: {
    workflowService: { describeNamespace: async () => ({ config: {} }) },
    operatorService: {
      listSearchAttributes: async () => ({ customAttributes: { ReconcilerMode: 2 } }),
      addSearchAttributes: async () => {
        throw Object.assign(new Error('7 PERMISSION_DENIED: Request unauthorized.'), {
          code: status.PERMISSION_DENIED,
          details: 'Request unauthorized.',
          metadata: {},
        });
      },
    },
  },
} as unknown as Client;

it('states how to register the missing search attributes if the caller may not', async () => {
  const error = await registerSearchAttributes(cloud).catch((e) => e);
  expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(error.message).toContain(
    'tcld namespace search-attributes add --namespace data.a1b2c --search-attribute "ReconcilerConnector=Keyword" --search-attribute "ReconcilerTenant=Keyword" --search-attribute "ReconcilerOutcome=Keyword"',
  );
  expect(error.message).not.toContain('ReconcilerMode');
});
