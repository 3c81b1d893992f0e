import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Metadata } from 'nice-grpc';
import type { ValidateRequest } from '../../../src/contract/job.ts';
import { TENANT_METADATA } from '../../../src/contract/tenant.ts';
import { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';
import { connectorSpec, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;

beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const getDraft = (draftId = '') => catalog.clients.reconciliation.getConnectorDraft({ draftId });

/** Validates a connector. @returns what a worker got for the input of the workflow */
async function validated(fields: Partial<Connector>): Promise<{ request: ValidateRequest; draft: Connector }> {
  let request: ValidateRequest = {};
  let draft = Connector.create();
  catalog.jobs.onValidate = async (sent) => {
    request = sent;
    draft = await getDraft(sent.draftId);
  };
  await catalog.clients.connectors.validateConnector({
    target: { $case: 'connector', value: { ...connectorSpec(), ...fields } as Connector },
  });
  catalog.jobs.onValidate = undefined;
  return { request, draft };
}

it('a connector that is validated is in the catalog meanwhile, and only its id in the input of the workflow', async () => {
  const { request, draft } = await validated({ uri: 'file:///planted', properties: { 'glue.id': 'env:PLANTED' } });
  expect(request).toEqual({ draftId: expect.stringMatching(/^draft_[\w-]{32}$/) });
  expect(draft).toMatchObject({ uri: 'file:///planted', properties: { 'glue.id': 'env:PLANTED' } });
  expect(await failure(getDraft(request.draftId))).toMatchObject({
    code: 'NOT_FOUND',
    message: expect.stringContaining('validate it again'),
  });
});

it('its webhook is left out, because it may be a secret', async () => {
  const { draft } = await validated({ alerts: { webhookUrl: 'https://example.com/planted', secretRef: '' } as never });
  expect(draft.alerts).toBeUndefined();
});

it('it is gone after a validation that failed', async () => {
  let draftId: string | undefined;
  catalog.jobs.onValidate = async (request) => {
    draftId = request.draftId;
    throw new Error('no worker');
  };
  const target = { $case: 'connector' as const, value: connectorSpec() as Connector };
  await failure(catalog.clients.connectors.validateConnector({ target }));
  catalog.jobs.onValidate = undefined;
  expect(draftId).toBeDefined();
  expect(await failure(getDraft(draftId))).toMatchObject({ code: 'NOT_FOUND' });
});

it('of another tenant is that tenant’s, and goes to the task queue of the tenant', async () => {
  await catalog.clients.tenants.createTenant({ tenant: { tenantId: 'acme', taskQueue: 'acme-ingest' } });
  const ofAcme = { metadata: Metadata({ [TENANT_METADATA]: 'acme' }) };
  let sent: ValidateRequest | undefined;
  let draft: Connector | undefined;
  catalog.jobs.onValidate = async (request) => {
    sent = request;
    const { draftId = '' } = request;
    draft = await catalog.clients.reconciliation.getConnectorDraft({ draftId }, ofAcme);
  };
  const target = { $case: 'connector' as const, value: connectorSpec() as Connector };
  await catalog.clients.connectors.validateConnector({ target }, ofAcme);
  catalog.jobs.onValidate = undefined;
  expect(sent).toMatchObject({ tenant: 'acme', taskQueue: 'acme-ingest' });
  expect(draft).toMatchObject({ uri: connectorSpec().uri });
});
