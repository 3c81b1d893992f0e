import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import proto from '@temporalio/proto';
import { type CatalogClients, connectCatalog } from '../../../src/catalog-client/connect.ts';
import { AuthScheme, Connector, ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { Role } from '../../../src/generated/reconciler/v1/tokens.ts';
import { verified, WebhookReceiver } from '../../activities/alerts/webhook-receiver.ts';
import { type FakeServer, respondWithJson, startFakeServer } from '../../connectors/rest/fake-server.ts';
import { poll } from '../../jest/poll.ts';
import { RunningStack } from '../stack/running-stack.ts';
import { filesBelow, hiddenIn } from './planted.ts';

jest.setTimeout(240_000);

/** Planted in the worker's environment and in a file, with characters that are escaped in JSON and in URLs. */
const OF_CONNECTORS = {
  variable: '9f1cTn0Qw.variable/"7"+Xa8d3==',
  file: '4d2eRk7-"file"/+ Lm9z=0p',
  header: '77abVz3-"header"/+= Ku5e',
};
const HOOK_KEY = `whsec_${Buffer.from('x81vZ0mTw5Lg of the webhook, long enough').toString('base64')}`;
/** A part of every message of the upstream. */
const REFUSAL = 'refused with what was sent';

let stack: RunningStack;
let admin: CatalogClients;
let upstream: FakeServer;
let hook: WebhookReceiver;
let folder: string;
/** All values that must not be found: those above, and the tokens. */
const hidden: Record<string, string> = { ...OF_CONNECTORS, 'key of the webhook': HOOK_KEY.slice('whsec_'.length) };
const output: string[] = [];
const jobs: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-planted-'));
  writeFileSync(join(folder, 'secret'), OF_CONNECTORS.file);
  hook = await WebhookReceiver.start();
  // Repeats the request in the error, as careless servers do.
  upstream = await startFakeServer(({ headers, path }, response) => {
    const sent = `${headers.authorization} ${headers['x-api-key']}`;
    const error = { message: `${REFUSAL}: ${path} ${sent} ${encodeURIComponent(sent)}`, type: sent, code: 403 };
    respondWithJson(response, { error }, 403);
  });
  stack = await RunningStack.start({
    PLANTED_VARIABLE: OF_CONNECTORS.variable,
    PLANTED_HEADER: OF_CONNECTORS.header,
    PLANTED_HOOK_KEY: HOOK_KEY,
    RECONCILER_LOG_LEVEL: 'trace',
    RECONCILER_AUDIT: 'all',
  });
  hidden['token of the owner'] = readFileSync(join(stack.dataDir, 'token'), 'utf8').trim().slice(-43);
  const { secret } = await stack.catalog.tokens.createToken({ subject: 'ada', roles: [Role.ROLE_ADMIN] });
  hidden['API token'] = secret.slice(-43);
  admin = connectCatalog(stack.address, { token: async () => secret });
  stack.env.RECONCILER_TOKEN = secret;

  for (const [name, secretRef] of [
    ['variable', 'env:PLANTED_VARIABLE'],
    ['file', `file:${join(folder, 'secret')}`],
  ] as const) {
    const connector = Connector.fromPartial({
      displayName: name,
      kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
      uri: upstream.url,
      auth: {
        scheme: AuthScheme.AUTH_SCHEME_BEARER,
        secretRef,
        headerHints: { 'x-api-key': 'env:PLANTED_HEADER' },
      },
      alerts: { webhookUrl: `${hook.origin}/hook`, secretRef: 'env:PLANTED_HOOK_KEY' },
    });
    const unsaved = await admin.connectors.validateConnector({ target: { $case: 'connector', value: connector } });
    expect(unsaved.ok).toBe(false);
    output.push(JSON.stringify(unsaved));
    const { connectorId } = await admin.connectors.createConnector({ connector });
    const { jobId } = await admin.connectors.triggerReconcile({ connectorId });
    expect((await stack.ended(jobId)).state).toBe(JobState.JS_FAILED);
    jobs.push(jobId);
  }
  await poll(() => hook.received.length, { timeout: 60_000, interval: 100 }).toBe(2);
  // A call that is refused is in the audit, too.
  const mistyped = connectCatalog(stack.address, { token: async () => `${secret.slice(0, -1)}!` });
  await expect(mistyped.connectors.listConnectors({})).rejects.toThrow(/UNAUTHENTICATED/);
  mistyped.close();
});
afterAll(async () => {
  admin?.close();
  await stack?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await hook?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

it('the secrets have been used', () => {
  const sent = new Set(upstream.requests.map(({ headers }) => headers.authorization));
  expect(sent).toEqual(new Set([`Bearer ${OF_CONNECTORS.variable}`, `Bearer ${OF_CONNECTORS.file}`]));
  expect(new Set(upstream.requests.map(({ headers }) => headers['x-api-key']))).toEqual(
    new Set([OF_CONNECTORS.header]),
  );
  for (const message of hook.received) expect(verified(message, HOOK_KEY)).toMatchObject({ type: 'job.failed' });
  expect(hiddenIn(hidden, Buffer.from(hook.received.map(({ body }) => body).join()))).toEqual([]);
});

it('they are in no history, nor in what Temporal lists', async () => {
  const { namespace } = stack.temporal.options;
  const list = () => stack.temporal.workflowService.listWorkflowExecutions({ namespace });
  // Two validations, two jobs and two alerts. Temporal's list is eventually consistent.
  await poll(async () => (await list()).executions.length, { timeout: 60_000, interval: 200 }).toBe(6);
  const listed = await list();
  const { ListWorkflowExecutionsResponse } = proto.temporal.api.workflowservice.v1;
  let text = Buffer.from(ListWorkflowExecutionsResponse.encode(listed).finish()).toString('latin1');
  for (const { execution } of listed.executions) {
    const { workflowId = '', runId } = { ...execution } as { workflowId?: string; runId?: string };
    const history = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    text += Buffer.from(proto.temporal.api.history.v1.History.encode(history).finish()).toString('latin1');
  }
  expect(text).toContain(REFUSAL);
  expect(hiddenIn(hidden, Buffer.from(text, 'latin1'))).toEqual([]);
});

it('they are in no file but that of the owner’s token', () => {
  const files = filesBelow(stack.dataDir);
  const found = files.map(
    (file) => [file.slice(stack.dataDir.length + 1), hiddenIn(hidden, readFileSync(file))] as const,
  );
  expect(found.filter(([, names]) => names.length > 0)).toEqual([['token', ['token of the owner']]]);
  const names = found.map(([name]) => name);
  const searched = ['catalog.db', 'catalog.db-wal', 'temporal.db', 'stack.json', 'logs/worker.log', 'logs/catalog.log'];
  expect(names).toEqual(expect.arrayContaining(searched));
  const withRefusal = files.filter((file) => readFileSync(file).includes(REFUSAL)).join(' ');
  for (const name of ['catalog.db', 'temporal.db', 'worker.log']) expect(withRefusal).toContain(name);
});

it('they are in no metrics', async () => {
  for (const { metrics } of Object.values(stack.observed())) {
    const text = await (await fetch(`http://${metrics}/metrics`)).text();
    expect(text).toContain('reconciler_');
    expect(hiddenIn(hidden, Buffer.from(text))).toEqual([]);
  }
});

it('they are in no output of commands, and not in the audit', async () => {
  const commands = [
    ['token', 'whoami'],
    ['token', 'list', '--json'],
    ['connector', 'list', '--json'],
    ['connector', 'get', 'variable'],
    ['connector', 'validate', 'file'],
    ['connector', 'get', 'file', '--json'],
    ['job', 'list', '--json'],
    ...jobs.flatMap((job) => [
      ['job', 'get', job],
      ['job', 'failures', job, '--json'],
    ]),
    ['audit', '--limit', '1000', '--json'],
  ];
  for (const command of commands) {
    const { code, stdout, stderr } = await stack.cli(...command);
    expect({ command, isRun: code !== 2 && stdout + stderr !== '' }).toEqual({ command, isRun: true });
    output.push(stdout, stderr);
  }
  const { events } = await stack.catalog.audit.listAuditEvents({ platform: true, pageSize: 1000 });
  expect(events.map(({ code }) => code)).toContain('UNAUTHENTICATED');
  output.push(JSON.stringify(events));
  const text = output.join('\n');
  for (const shown of [REFUSAL, 'env:PLANTED_VARIABLE', 'ValidateConnector']) expect(text).toContain(shown);
  expect(hiddenIn(hidden, Buffer.from(text))).toEqual([]);
});
