import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { WorkflowFailedError } from '@temporalio/client';
import {
  AuthScheme,
  Connector,
  ConnectorKind,
  ReconcilePolicy,
} from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type FakeServer, respondWithJson, startFakeServer } from '../../connectors/rest/fake-server.ts';
import { QueueWorkers } from '../stack/queue-workers.ts';
import { RunningStack } from '../stack/running-stack.ts';

const SECRET = 'the-legit-secret-42';
const HOOK_KEY = `whsec_${Buffer.from('the legit key of the webhook, long enough').toString('base64')}`;

/** Where the secrets belong, and the listener of somebody who may write connectors. */
let legit: FakeServer;
let attacker: FakeServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-attacks-'));
  const json = { access_token: 'token-issued-for-it', expires_in: 3600, defaults: {}, overrides: {}, namespaces: [] };
  legit = await startFakeServer((_, response) => respondWithJson(response, json));
  attacker = await startFakeServer((_, response) => respondWithJson(response, json));
});
afterAll(async () => {
  for (const server of [legit, attacker]) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  for (const server of [legit, attacker]) server.requests.length = 0;
});
afterEach(() => expect(attacker.requests).toEqual([]));

const connectorTo = (uri: string, scheme: AuthScheme, secretRef: string) =>
  Connector.fromPartial({
    displayName: 'evil',
    kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
    uri,
    auth: { scheme, secretRef },
  });

const validated = (stack: RunningStack, value: Connector) =>
  stack.catalog.connectors.validateConnector({ target: { $case: 'connector', value } });

/** The inputs of the workflows that validated, and of their activities. */
async function inputs(stack: RunningStack): Promise<{ taskQueue?: string }[]> {
  const all: object[] = [];
  for await (const { workflowId, runId, type } of stack.temporal.workflow.list()) {
    if (type !== 'validateConnector') continue;
    const { events } = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    for (const event of events ?? []) {
      const { input } =
        event.workflowExecutionStartedEventAttributes ?? event.activityTaskScheduledEventAttributes ?? {};
      for (const { data } of input?.payloads ?? []) all.push(JSON.parse(Buffer.from(data ?? []).toString()));
    }
  }
  return all;
}

describe('a stack without a policy', () => {
  let stack: RunningStack;
  beforeAll(async () => {
    stack = await RunningStack.start({ LAKE_TOKEN: SECRET });
  }, 120_000);
  afterAll(() => stack?.[Symbol.asyncDispose]());

  it.each([
    [AuthScheme.AUTH_SCHEME_OAUTH2, 'file:/etc/passwd'],
    [AuthScheme.AUTH_SCHEME_OAUTH2, 'file:/proc/self/environ'],
    [AuthScheme.AUTH_SCHEME_BEARER, 'file:DATA/catalog.db'],
    [AuthScheme.AUTH_SCHEME_BEARER, 'env:PATH'],
    [AuthScheme.AUTH_SCHEME_BEARER, 'env:TEMPORAL_ADDRESS'],
  ])('%s does not send %s anywhere', async (scheme, reference) => {
    const secretRef = reference.replace('DATA', stack.dataDir);
    const { ok, summary } = await validated(stack, connectorTo(attacker.url, scheme, secretRef));
    expect({ ok, summary }).toEqual({
      ok: false,
      summary: expect.stringMatching(
        new RegExp(`^The policy of the worker refuses it: .*${secretRef}.*RECONCILER_WORKER_POLICY`),
      ),
    });
  });

  it('uses the secrets that its user has set', async () => {
    await validated(stack, connectorTo(legit.url, AuthScheme.AUTH_SCHEME_BEARER, 'env:LAKE_TOKEN'));
    expect(legit.requests[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
  });

  it('has a worker beside it that uses nothing of its own, because it reaches the catalog by the network', async () => {
    // An address of this machine which does not look like one.
    const env = {
      RECONCILER_ADDRESS: stack.address.replace('127.0.0.1', '0.0.0.0'),
      RECONCILER_TOKEN: readFileSync(join(stack.dataDir, 'token'), 'utf8').trim(),
      RECONCILER_INSECURE_PLAINTEXT: '1',
      LAKE_TOKEN: SECRET,
    };
    await using _ = await QueueWorkers.start(stack, { queue: 'elsewhere', workers: 1, env });
    const summaryOf = async (connector: Connector) =>
      (await validated(stack, { ...connector, policy: ReconcilePolicy.create({ taskQueue: 'elsewhere' }) })).summary;
    expect(await summaryOf(connectorTo(legit.url, AuthScheme.AUTH_SCHEME_BEARER, 'env:LAKE_TOKEN'))).toMatch(
      /env:LAKE_TOKEN: the worker has no policy.*0\.0\.0\.0.*RECONCILER_WORKER_POLICY/,
    );
    expect(await summaryOf(connectorTo(legit.url, AuthScheme.AUTH_SCHEME_NONE, ''))).toMatch(
      /does not connect to 127\.0\.0\.1: .*networks\.allow/,
    );
    const folder = connectorTo(`file://${stack.dataDir}`, AuthScheme.AUTH_SCHEME_NONE, '');
    expect(await summaryOf(folder)).toMatch(/this worker may read no local files.*RECONCILER_LOCAL_ROOTS/);
    expect(legit.requests).toEqual([]);
  });

  it('has no workflow whose input is a connector', async () => {
    const evil = connectorTo(attacker.url, AuthScheme.AUTH_SCHEME_BEARER, 'env:LAKE_TOKEN');
    const connectorJson = JSON.stringify(Connector.toJSON(evil));
    const start = { taskQueue: 'reconciler', workflowId: 'evil', args: [{ connectorJson }] };
    const error = await stack.temporal.workflow.execute('validateConnector', start).catch((error) => error);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    expect(error.cause).toMatchObject({
      type: 'INVALID_ARGUMENT',
      message: expect.stringContaining("the key 'connectorJson' is unknown"),
    });
    const guessed = { ...start, workflowId: 'guessed', args: [{ draftId: 'draft_guessed' }] };
    const missing = await stack.temporal.workflow.execute('validateConnector', guessed).catch((error) => error);
    expect(missing.cause?.cause).toMatchObject({ type: 'NOT_FOUND' });
  });

  it('sends a connector that is validated to Temporal as an id', async () => {
    const connector = connectorTo(`${legit.url}/planted-in-the-uri`, AuthScheme.AUTH_SCHEME_NONE, '');
    await validated(stack, connector);
    expect(legit.requests[0]?.path).toContain('planted-in-the-uri');
    const drafts = (await inputs(stack)).filter((input) => !('connectorJson' in input));
    expect(drafts.length).toBeGreaterThan(2);
    for (const { taskQueue: _, ...input } of drafts) {
      expect(input).toEqual({ draftId: expect.stringMatching(/^draft_/) });
    }
  });
});

describe('a stack with a policy', () => {
  let stack: RunningStack;
  beforeAll(async () => {
    const policy = join(folder, 'policy.json');
    const secrets = [{ ref: 'env:LEGIT_*', tenants: ['default'], hosts: [new URL(legit.url).host] }];
    writeFileSync(policy, JSON.stringify({ secrets }));
    stack = await RunningStack.start({
      RECONCILER_WORKER_POLICY: policy,
      LEGIT_CREDENTIAL: `the-id:${SECRET}`,
      LEGIT_HOOK_KEY: HOOK_KEY,
      UNLISTED: 'a secret that is not listed',
    });
  }, 120_000);
  afterAll(() => stack?.[Symbol.asyncDispose]());

  it('does not send a stored connector’s secret to the address to which the connector was changed', async () => {
    const { connectors } = stack.catalog;
    const prod = connectorTo(legit.url, AuthScheme.AUTH_SCHEME_OAUTH2, 'env:LEGIT_CREDENTIAL');
    const { connectorId } = await connectors.createConnector({ connector: { ...prod, displayName: 'prod' } });
    const validate = () => connectors.validateConnector({ target: { $case: 'connectorId', value: connectorId } });
    await validate();
    expect(legit.requests[0]?.body).toContain(`client_secret=${SECRET}`);
    await connectors.updateConnector({ connector: { connectorId, uri: attacker.url }, updateMask: ['uri'] });
    const refusal = new RegExp(
      `env:LEGIT_CREDENTIAL may not be sent to ${new URL(attacker.url).host}.*RECONCILER_WORKER_POLICY`,
    );
    expect(await validate()).toMatchObject({ ok: false, summary: expect.stringMatching(refusal) });
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    const job = await stack.ended(jobId);
    expect([job.state, job.message]).toEqual([JobState.JS_FAILED, expect.stringMatching(refusal)]);
  });

  it('uses no secret that it does not list', async () => {
    const { summary } = await validated(
      stack,
      connectorTo(attacker.url, AuthScheme.AUTH_SCHEME_BEARER, 'env:UNLISTED'),
    );
    expect(summary).toMatch(/env:UNLISTED, which the worker's policy does not list for tenant default/);
  });

  it('signs no message to the webhook of somebody else', async () => {
    const connector = Connector.fromPartial({
      displayName: 'hooked',
      kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
      uri: 'file:///no/such/warehouse',
      alerts: { webhookUrl: `${attacker.url}/hook`, secretRef: 'env:LEGIT_HOOK_KEY' },
    });
    const { connectorId } = await stack.catalog.connectors.createConnector({ connector });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    await stack.ended(jobId);
    await stack.temporal.workflow
      .getHandle(jobId)
      .result()
      .catch(() => {});
    const error = await stack.temporal.workflow
      .getHandle(`alert-${jobId}`)
      .result()
      .catch((error) => error);
    expect(error.cause?.cause).toMatchObject({
      type: 'PERMISSION_DENIED',
      message: expect.stringContaining('env:LEGIT_HOOK_KEY may not be sent to'),
    });
  });
});
