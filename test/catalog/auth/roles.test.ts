import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CLAIM_RULES } from '../../../src/catalog/auth/claim-rules.ts';
import { PERMISSIONS } from '../../../src/catalog/auth/permissions.ts';
import { readDescriptorSet } from '../../../src/catalog/server/descriptor-set.ts';
import { AuthScheme, type Connector, ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { all, connectorSpec, failure, refusal } from '../harness.ts';
import { type Clients, callWith, GuardedCatalog } from './clients.ts';

let guarded: GuardedCatalog;
const as: Record<string, Clients> = {};
beforeAll(async () => {
  guarded = await GuardedCatalog.start();
  for (const role of ['reader', 'operator', 'admin', 'worker', 'platform'] as const)
    as[role] = await guarded.asRole(role);
});
afterAll(() => guarded[Symbol.asyncDispose]());

const SECRETIVE = {
  properties: { 's3.region': 'eu', 'header.x': 'env:X' },
  auth: {
    scheme: AuthScheme.AUTH_SCHEME_BEARER,
    secretRef: 'env:CREDENTIAL',
    headerHints: { h: 'v' },
    properties: { 'oauth2.scope': 's' },
  },
  alerts: { webhookUrl: 'https://hooks.example/path', secretRef: 'env:HOOK' },
};

async function connector(): Promise<Connector> {
  return as.admin!.connectors.createConnector({ connector: connectorSpec(SECRETIVE) });
}

describe('what a connector is configured with', () => {
  it.each(['admin', 'worker'])('is seen by the role %s', async (role) => {
    const { connectorId } = await connector();
    const by = { $case: 'connectorId' as const, value: connectorId };
    expect(await as[role]!.connectors.getConnector({ by })).toMatchObject(SECRETIVE);
    const { connectors } = await as[role]!.connectors.listConnectors({});
    expect(connectors.find((each) => each.connectorId === connectorId)).toMatchObject(SECRETIVE);
  });

  it.each(['reader', 'operator'])('is not seen by the role %s', async (role) => {
    const { connectorId, displayName, etag } = await connector();
    const { connectors } = as[role]!;
    const answers: unknown[] = [
      await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } }),
      await connectors.getConnector({ by: { $case: 'displayName', value: displayName } }),
      await connectors.listConnectors({}),
    ];
    if (role === 'operator') {
      const state = ConnectorState.CONNECTOR_STATE_PAUSED;
      const update = { connector: { connectorId, state, etag }, updateMask: ['state'] };
      answers.push(await connectors.updateConnector({ ...update, validateOnly: true }));
      answers.push(await connectors.updateConnector(update));
      expect(answers.at(-1)).toMatchObject({ state });
    }
    const text = JSON.stringify(answers, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    expect(text).toContain(displayName);
    expect(text).not.toMatch(/s3\.region|header\.x|env:|headerHints":\{"h|oauth2|hooks/);
  });
});

it.each([[['uri']], [['state', 'uri']], [['properties', 'state']], [['auth.secret_ref']], [['alerts']]])(
  'an operator does not update %j, and nothing is changed',
  async (updateMask) => {
    const before = await connector();
    const changed = { connectorId: before.connectorId, state: ConnectorState.CONNECTOR_STATE_PAUSED, uri: 'file:///x' };
    const { connectors } = as.operator!;
    expect(await failure(connectors.updateConnector({ connector: changed, updateMask }))).toMatchObject(
      refusal('PERMISSION_DENIED', 'may only set the state'),
    );
    const by = { $case: 'connectorId' as const, value: before.connectorId };
    expect(await as.admin!.connectors.getConnector({ by })).toEqual(before);
  },
);

describe('an RPC', () => {
  type Call = (clients: Clients) => Promise<unknown>;
  const CALLS: [string, Call, string[]][] = [
    ['CreateConnector', ({ connectors }) => connectors.createConnector({ connector: connectorSpec() }), ['admin']],
    ['DeleteConnector', ({ connectors }) => connectors.deleteConnector({ connectorId: 'con_none' }), ['admin']],
    [
      'TriggerReconcile',
      ({ connectors }) => connectors.triggerReconcile({ connectorId: 'con_none' }),
      ['operator', 'admin'],
    ],
    ['ListCatalogs', ({ catalogs }) => catalogs.listCatalogs({}), ['reader', 'operator', 'admin', 'worker']],
    [
      'CreateCatalog',
      ({ catalogs }) => catalogs.createCatalog({ catalog: { displayName: `${Math.random()}` } }),
      ['admin'],
    ],
    ['ClaimConnector', ({ reconciliation }) => reconciliation.claimConnector({}), ['worker']],
    ['ListTokens', ({ tokens }) => tokens.listTokens({}), ['admin', 'platform']],
    ['GetCaller', ({ tokens }) => tokens.getCaller({}), ['reader', 'operator', 'admin', 'worker', 'platform']],
  ];
  it.each(CALLS)('%s is for its roles', async (_, call, roles) => {
    for (const [role, clients] of Object.entries(as)) {
      const code = await call(clients).then(
        () => 'OK',
        async (error) => (await failure(Promise.reject(error))).code,
      );
      expect([role, code === 'PERMISSION_DENIED']).toEqual([role, !roles.includes(role)]);
    }
  });

  it('of the protos has a permission, and if it is internal a rule for its claim', () => {
    const { file } = fromBinary(FileDescriptorSetSchema, readDescriptorSet() as Uint8Array);
    const paths = file
      .filter(({ package: name }) => name.startsWith('reconciler.'))
      .flatMap(({ package: name, service }) => service.map((each) => ({ name: `${name}.${each.name}`, each })))
      .flatMap(({ name, each }) => each.method.map((method) => `/${name}/${method.name}`));
    expect(Object.keys(PERMISSIONS).sort()).toEqual(paths.sort());
    expect(Object.keys(CLAIM_RULES).sort()).toEqual(paths.filter((path) => path.includes('.internal.')));
  });
});

/** The script recon.mjs of the review of 0.1.0: it dropped all tables of a connector in two calls. */
it('nobody claims, marks or drops without a token', async () => {
  using nobody = callWith(guarded.catalog.address, {});
  const { connectorId } = await connector();
  for (const call of [
    nobody.connectors.listConnectors({}),
    nobody.connectors.createConnector({ connector: connectorSpec() }),
    nobody.connectors.updateConnector({
      connector: { connectorId, uri: 'https://attacker.example' },
      updateMask: ['uri'],
    }),
    nobody.connectors.validateConnector({ target: { $case: 'connectorId', value: connectorId } }),
    nobody.reconciliation.claimConnector({ connectorId, job: { jobId: 'made-up' }, runId: 'r' }),
    nobody.bindings.markMissing({ connectorId }),
    nobody.reconciliation.dropMissing({ connectorId }),
  ]) {
    expect((await failure(call)).code).toBe('UNAUTHENTICATED');
  }
  expect(guarded.catalog.jobs.started).toEqual([]);
});

it('reflection needs a token, and health does not', async () => {
  using nobody = callWith(guarded.catalog.address, {});
  async function* listServices() {
    yield Buffer.from([0x3a, 0x00]);
  }
  const list = async ({ reflection }: Clients) => Buffer.concat(await all(reflection.ask(listServices()))).toString();
  expect((await failure(list(nobody))).code).toBe('UNAUTHENTICATED');
  expect(await list(as.reader!)).toContain('reconciler.v1.Tokens');
  expect(await nobody.health.check({ service: 'reconciler.v1.Tokens' })).toEqual({ status: 1 });
});
