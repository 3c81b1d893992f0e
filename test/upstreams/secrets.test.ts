import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { temporal } from '@temporalio/proto';
import { AuthScheme } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { filesBelow, hiddenIn } from '../integration/security/planted.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { waitFor } from '../jest/wait-for.ts';
import { CleanUp } from './clean-up.ts';
import { type Exchange, type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type OtlpReceiver, startOtlpReceiver } from './otlp-receiver.ts';
import { startS3Lake } from './s3/s3-lake.ts';
import { connectorS3 } from './s3/s3-properties.ts';

/** Planted in the worker's environment, with characters that are escaped in JSON and in URLs. */
const SECRETS = {
  PLANTED_TOKEN: '9f1cTn0Qw.bearer/7+Xa8d3==',
  PLANTED_CLIENT: 'planted-client:4d2eRk7-"secret"/+ Lm9z',
  PLANTED_HEADER: '77abVz3-"header"/+= Ku5e',
  PLANTED_S3_ID: 'PLANTEDACCESSKEYID01',
  PLANTED_S3_KEY: '0d3cGh6+s3/secret=key"Wp2t',
  PLANTED_CODEC_KEY: 'b64+Planted/codecKeyOf32BytesXq81vZ0mTw5Lg0=',
};
/** Values that must not be found anywhere. The id of an access key is not a secret. */
const HIDDEN = {
  'bearer token': SECRETS.PLANTED_TOKEN,
  'client secret': SECRETS.PLANTED_CLIENT.slice('planted-client:'.length),
  'token that the catalog gave': '51ceJd4.by/the+catalog.Ny8b',
  header: SECRETS.PLANTED_HEADER,
  'S3 secret key': SECRETS.PLANTED_S3_KEY,
  'key of the codec': SECRETS.PLANTED_CODEC_KEY,
};
/** A part of every message of the refusing servers. */
const REFUSAL = 'refused with what was sent';

/** Refuses a request and repeats it in the error, as careless servers do. `before` moves the repetition to where messages are cut. */
function repeatRequest(status: number, before = ''): Fault {
  return ({ incoming, body, response }: Exchange) => {
    const message = `${REFUSAL}: ${before}${requestText(incoming, body)}`;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ error: { message, type: `Refused ${incoming.headers.authorization}`, code: status } }),
    );
  };
}

/** The same as an HTML page. */
function repeatRequestAsText(status: number, before: string): Fault {
  return ({ incoming, body, response }: Exchange) => {
    response
      .writeHead(status, { 'content-type': 'text/plain' })
      .end(`${REFUSAL}: ${before}${requestText(incoming, body)}`);
  };
}

function requestText({ headers }: Exchange['incoming'], body: Buffer): string {
  const form = Object.fromEntries(new URLSearchParams(body.toString('utf8')));
  return `${headers.authorization?.replace('Bearer ', '') ?? ''} ${headers['x-api-key'] ?? ''} ${form.client_secret ?? ''} ${body}`;
}

const giveToken: Fault = ({ response }) => {
  const access_token = HIDDEN['token that the catalog gave'];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ access_token, token_type: 'bearer', expires_in: 3600 }));
};

/** The connector's name, the faults, and the connector's spec. */
type Case = [string, FaultProxy['rules'], object];

describe.each([
  { name: 'secrets by reference', encrypted: false },
  { name: 'secrets by reference, with encrypted payloads,', encrypted: true },
])('$name', ({ encrypted }) => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  let receiver: OtlpReceiver;
  const jobs: string[] = [];
  const sent: FaultProxy['requests'] = [];

  beforeAll(async () => {
    const { rest, moto } = await startS3Lake(cleanUp);
    receiver = cleanUp.use(await startOtlpReceiver());
    const observability = { RECONCILER_LOG_LEVEL: 'trace', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
    const codec = encrypted ? { RECONCILER_CODEC_KEYS: 'k1=env:PLANTED_CODEC_KEY' } : {};
    stack = cleanUp.use(await RunningStack.start({ ...moto.env, ...SECRETS, ...observability, ...codec }));

    const tokens = /^\/v1\/oauth\/tokens$/;
    const orders = /\/tables\/orders/;
    const oauth2 = { scheme: AuthScheme.AUTH_SCHEME_OAUTH2, secretRef: 'env:PLANTED_CLIENT' };
    const bearer = { scheme: AuthScheme.AUTH_SCHEME_BEARER, secretRef: 'env:PLANTED_TOKEN' };
    const bearerRefused = (name: string, fault: Fault): Case => [name, [{ path: orders, fault }], { auth: bearer }];
    const cases: Case[] = [
      ['bearer, for all', [{ path: /^/, fault: repeatRequest(401) }], { auth: bearer }],
      ['bearer, for one table', [{ path: orders, fault: repeatRequest(403) }], { auth: bearer }],
      ['oauth2, for the token', [{ path: tokens, fault: repeatRequest(401) }], { auth: oauth2 }],
      [
        'oauth2, for one table',
        [
          { path: tokens, fault: giveToken },
          { path: orders, fault: repeatRequest(403) },
        ],
        { auth: oauth2 },
      ],
      [
        'header',
        [{ path: orders, fault: repeatRequest(403) }],
        { properties: { 'header.x-api-key': 'env:PLANTED_HEADER' } },
      ],
      [
        'header hint',
        [{ path: orders, fault: repeatRequest(403) }],
        { auth: { headerHints: { 'x-api-key': 'env:PLANTED_HEADER' } } },
      ],
      // Positions at which an error's message and a page's excerpt are cut in the middle of the token.
      ...[490, 480].map((n) => bearerRefused(`bearer, after ${n}`, repeatRequest(403, '.'.repeat(n - REFUSAL.length)))),
      ...[185, 170].map((n) =>
        bearerRefused(`bearer, in a page after ${n}`, repeatRequestAsText(403, '.'.repeat(n - REFUSAL.length))),
      ),
    ];
    for (const [name, rules, spec] of cases) {
      const proxy = cleanUp.use(await startFaultProxy(rest.url, rules));
      await fail(name, { uri: proxy.url, properties: connectorS3(moto), ...spec });
      sent.push(...proxy.requests);
    }
    const s3 = cleanUp.use(await startFaultProxy(moto.url, [{ path: /^/, fault: repeatRequest(403) }]));
    await fail('s3', {
      uri: rest.url,
      properties: {
        ...connectorS3(moto),
        's3.endpoint': s3.url,
        's3.access-key-id': 'env:PLANTED_S3_ID',
        's3.secret-access-key': 'env:PLANTED_S3_KEY',
      },
    });
    sent.push(...s3.requests);
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  async function fail(name: string, spec: object) {
    const job = await stack.trigger(await stack.connect(name, '', spec));
    expect(job).toMatchObject({ state: JobState.JS_FAILED });
    jobs.push(job.jobId);
  }

  it('have been used', () => {
    const headers = JSON.stringify(sent.map(({ headers }) => [headers.authorization, headers['x-api-key']]));
    for (const used of ['bearer token', 'token that the catalog gave', 'header'] as const) {
      expect(headers).toContain(JSON.stringify(HIDDEN[used]).slice(1, -1));
    }
    expect(headers).toContain(`Credential=${SECRETS.PLANTED_S3_ID}/`);
  });

  it('are not in any history', async () => {
    // Not with the client's `list`, which decodes memos.
    const { namespace } = stack.temporal.options;
    const { executions } = await stack.temporal.workflowService.listWorkflowExecutions({ namespace });
    expect(executions).not.toEqual([]);
    for (const { execution } of executions) {
      const { workflowId = '', runId } = { ...execution } as { workflowId?: string; runId?: string };
      const history = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
      const bytes = Buffer.from(temporal.api.history.v1.History.encode(history).finish());
      expect({ workflowId, hidden: hiddenIn(HIDDEN, bytes) }).toEqual({ workflowId, hidden: [] });
    }
    const all = await Promise.all(jobs.map((id) => stack.temporal.workflow.getHandle(id).fetchHistory()));
    const text = Buffer.concat(
      all.map((history) => Buffer.from(temporal.api.history.v1.History.encode(history).finish())),
    );
    // The search works: it finds the text that came with the secrets, unless that is encrypted.
    expect([text.includes(REFUSAL), text.includes('binary/encrypted')]).toEqual([!encrypted, encrypted]);
  });

  it('are not in any file: databases and logs', () => {
    const files = filesBelow(stack.dataDir);
    const found = files.map(
      (file) => [file.slice(stack.dataDir.length), hiddenIn(HIDDEN, readFileSync(file))] as const,
    );
    expect(found.filter(([, names]) => names.length > 0)).toEqual([]);
    const filesWithRefusal = files.filter((file) => readFileSync(file).includes(REFUSAL)).join(' ');
    expect(filesWithRefusal).toMatch(/catalog\.db/);
    expect(/temporal\.db/.test(filesWithRefusal)).toBe(!encrypted);
    expect(filesWithRefusal).toMatch(/worker\.log/);
  });

  it('are not in any trace or metric', async () => {
    const metrics = await Promise.all(
      Object.values(stack.observed()).map(async ({ metrics }) => (await fetch(`http://${metrics}/metrics`)).text()),
    );
    expect(metrics.join()).toMatch(/reconciler_errors_total\{.*code="PERMISSION_DENIED"/);
    expect(hiddenIn(HIDDEN, Buffer.from(metrics.join()))).toEqual([]);
    // Wait for the last spans of the last job.
    const runs = () =>
      new Set(receiver.spans.filter(({ name }) => name === 'RunWorkflow:reconcile').map((s) => s.spanId));
    await waitFor(() => expect(runs().size).toBe(jobs.length), { timeout: 60_000, interval: 200 });
    const sent = Buffer.concat(receiver.bodies);
    expect(sent.includes(REFUSAL)).toBe(true);
    expect(hiddenIn(HIDDEN, sent)).toEqual([]);
  });

  it('are not in the output of commands', async () => {
    for (const jobId of jobs) {
      const { stdout, stderr } = await stack.cli('job', 'failures', jobId, '--json');
      expect(stdout).toMatch(/refused|s3/i);
      expect(hiddenIn(HIDDEN, Buffer.from(stdout + stderr))).toEqual([]);
    }
    const list = await stack.cli('job', 'list', '--json');
    expect(list.stdout).toContain(REFUSAL);
    expect(hiddenIn(HIDDEN, Buffer.from(list.stdout + list.stderr))).toEqual([]);
    const { stdout } = await stack.cli('connector', 'list', '--json');
    expect(stdout).toContain('env:PLANTED_TOKEN');
    expect(hiddenIn(HIDDEN, Buffer.from(stdout))).toEqual([]);
  });
});
