import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../src/contract/search-attributes.ts';
import {
  describeNamespace,
  hasSearchAttributes,
  registerSearchAttributes,
} from '../../src/temporal/search-attributes-registered.ts';
import { TemporalServer } from '../integration/stack/temporal-server.ts';
import { poll } from '../jest/poll.ts';

const { INDEXED_VALUE_TYPE_BOOL } = proto.temporal.api.enums.v1.IndexedValueType;
const NAMES = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);

let temporal: TemporalServer;
beforeAll(async () => {
  temporal = await TemporalServer.start();
}, 120_000);
afterAll(() => temporal?.[Symbol.asyncDispose]());

/** A client of the real server to which it, or a proxy in front of it, refuses some calls. */
function refusedClient(
  refusal: 'PERMISSION_DENIED' | 'UNIMPLEMENTED',
  methods: string[],
  namespace = 'default',
): Client {
  const refuse = (service: object) =>
    new Proxy(service, {
      get(target, name) {
        if (!methods.includes(String(name))) return Reflect.get(target, name);
        return async () => {
          const details = 'Request unauthorized.';
          const message = `${status[refusal]} ${refusal}: ${details}`;
          throw Object.assign(new Error(message), { code: status[refusal], details, metadata: {} });
        };
      },
    });
  const { connection } = temporal.client;
  const { operatorService, workflowService } = connection;
  const refused = { operatorService: refuse(operatorService), workflowService: refuse(workflowService) };
  return { options: { namespace }, connection: refused } as unknown as Client;
}

/** A client of a new namespace, which has no search attributes. */
async function newNamespace(namespace: string): Promise<Client> {
  const { workflowService, operatorService } = temporal.client.connection;
  await workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: { seconds: 86_400 as never },
  });
  // The server's services learn of it some time later.
  const usable = () =>
    operatorService
      .listSearchAttributes({ namespace })
      .then(() => true)
      .catch(() => false);
  await poll(usable, { timeout: 60_000, interval: 300 }).toBe(true);
  return new Client({ connection: temporal.client.connection, namespace });
}

const OPERATOR = ['listSearchAttributes', 'addSearchAttributes'];

describe.each(['PERMISSION_DENIED', 'UNIMPLEMENTED'] as const)('if listing fails with %s', (refusal) => {
  it('finds the attributes by queries, and uses them', async () => {
    const client = refusedClient(refusal, OPERATOR);
    expect(await hasSearchAttributes(client)).toBe(true);
    expect(await registerSearchAttributes(client)).toMatchObject({
      searchAttributes: NAMES.map((name) => ({ name, added: false })),
    });
  });

  it('states that it is unknown whether they exist if queries are refused too, and uses none', async () => {
    const client = refusedClient(refusal, [...OPERATOR, 'countWorkflowExecutions']);
    await expect(registerSearchAttributes(client)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(
        /^These credentials may neither list nor query .* namespace default, .*: \d+ [A-Z_]+: Request unauthorized.*Jobs run without them/,
      ),
    });
    expect(await hasSearchAttributes(client)).toBe(false);
  });
});

it('names the missing attributes and how to register them if the caller may not', async () => {
  await newNamespace('data.a1b2c');
  // Lists them or not: Temporal Cloud lists them and refuses to register any.
  for (const refused of [['addSearchAttributes'], OPERATOR]) {
    const client = refusedClient('PERMISSION_DENIED', refused, 'data.a1b2c');
    const error = await registerSearchAttributes(client).catch((e) => e);
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(error.message).toContain(`Namespace data.a1b2c lacks the search attributes ${NAMES.join(', ')}`);
    expect(error.message).toContain(
      'tcld namespace search-attributes add --namespace data.a1b2c --search-attribute "ReconcilerConnector=Keyword" ' +
        '--search-attribute "ReconcilerTenant=Keyword" --search-attribute "ReconcilerMode=Keyword" ' +
        '--search-attribute "ReconcilerOutcome=Keyword" --search-attribute "ReconcilerTrigger=Keyword" ' +
        '--search-attribute "ReconcilerDryRun=Bool" --search-attribute "ReconcilerPaused=Bool"',
    );
    expect(await hasSearchAttributes(client)).toBe(false);
  }
}, 90_000);

it('states the limit if the namespace has no room for the attributes', async () => {
  const client = await newNamespace('full');
  const searchAttributes = { A: INDEXED_VALUE_TYPE_BOOL, B: INDEXED_VALUE_TYPE_BOOL };
  await client.connection.operatorService.addSearchAttributes({ namespace: 'full', searchAttributes });
  await expect(registerSearchAttributes(client)).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(/cannot have more than 3 search attribute of type Bool.*jobs run without any/),
  });
}, 90_000);

it('a namespace that may not be described is used', async () => {
  const client = refusedClient('PERMISSION_DENIED', ['describeNamespace']);
  expect(await describeNamespace(client)).toEqual({});
  expect(await registerSearchAttributes(client)).toMatchObject({ namespace: 'default', retentionSeconds: undefined });
});
