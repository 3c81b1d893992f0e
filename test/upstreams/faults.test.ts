import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { AuthScheme } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { formatName } from '../../src/names.ts';
import { differences } from '../integration/contents/compare-truth.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { CleanUp } from './clean-up.ts';
import {
  changed,
  cutBody,
  type Fault,
  firstPageForEver,
  hang,
  htmlPage,
  type Rule,
  redirect,
  refuse,
  startFaultProxy,
  trickle,
} from './fault-proxy.ts';
import { fixtureTables, publishFixtures } from './publish-fixtures.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import type { Server } from './servers/server.ts';
import { TokenGate } from './token-gate.ts';

const NAMES = ['fx.orders', 'fx.v2_cow', 'fx.schema_evo'];
const ALL = BigInt(NAMES.length);
const good = fixtureTables().filter(({ path }) => NAMES.includes(formatName(path)));
const truncated = fixtureTables().filter(({ truth }) => truth.corrupted === 'truncated_metadata');

const LOAD_ORDERS = /\/namespaces\/fx\/tables\/orders\?/;
const LIST_TABLES = /\/namespaces\/fx\/tables\?/;
const CLIENT = { id: 'reconciler', secret: 'of-the-fault-tests' };
/**
 * Time limit of a call, shortened so that the tests of hanging servers end soon. Other tests keep the default, because any response may take
 * long on a busy machine.
 */
const IMPATIENT = { 'rest.client.socket-timeout-ms': '4000' };

const cleanUp = new CleanUp();
let stack: RunningStack;
let rest: Server;
let folder: string;
let connectors = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-faults-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true }));
  rest = cleanUp.use(await startIcebergRest({ warehouse: `file://${folder}/warehouse` }));
  await publishFixtures(rest.url, { folder }, [...good, ...truncated]);
  stack = cleanUp.use(await RunningStack.start({ FAULTS_CLIENT: `${CLIENT.id}:${CLIENT.secret}` }));
});
afterAll(() => cleanUp[Symbol.asyncDispose]());

/** A connector through its own proxy, with its own destination catalog. */
async function connect(rules: Rule[], spec: object = {}) {
  const proxy = await startFaultProxy(rest.url, rules);
  const name = `faults${connectors++}`;
  const connectorId = await stack.connect(name, '', {
    uri: proxy.url,
    source: { namespacePath: ['fx'] },
    properties: rules.some(({ fault }) => fault === hang || fault === trickle) ? IMPATIENT : {},
    ...spec,
  });
  return {
    proxy,
    name,
    async run() {
      const job = await stack.trigger(connectorId);
      const failures = await stack.failures(job.jobId);
      return { job, failures, codes: Object.fromEntries(failures.map(({ table, code }) => [table, code])) };
    },
    /** Differences from the truth, by table. */
    async wrong(names: string[]) {
      const found: Record<string, string[]> = {};
      for (const { path, truth } of good.filter((table) => names.includes(formatName(table.path)))) {
        const tableId = await stack.tableId(formatName([name, ...path]));
        const wrong = await differences(stack.catalog, tableId, truth);
        if (wrong.length > 0) found[formatName(path)] = wrong;
      }
      return found;
    },
    async missing() {
      const { namespaceId } = await stack.catalog.directory.resolve({ name: { $case: 'text', value: `${name}.fx` } });
      const { tables } = await stack.catalog.tables.listTables({ namespaceId });
      return tables.filter(({ upstream }) => upstream?.missingSince).map((table) => table.name);
    },
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

const always = (path: RegExp, fault: Fault): Rule[] => [{ path, fault }];
const twice = (path: RegExp, fault: Fault): Rule[] => [{ path, fault, hits: (n) => n <= 2 }];
const once = (path: RegExp, fault: Fault): Rule[] => [{ path, fault, hits: (n) => n === 1 }];

describe('a permanent fault of one table', () => {
  it.concurrent.each<[string, string, Fault]>([
    ['403', 'PERMISSION_DENIED', refuse(403, 'ForbiddenException')],
    ['401 without other credentials', 'UNAUTHENTICATED', refuse(401, 'NotAuthorizedException')],
    ['404 for a listed table', 'NOT_FOUND', refuse(404, 'NoSuchTableException')],
    ['429', 'RESOURCE_EXHAUSTED', refuse(429, 'TooManyRequestsException')],
    ['429 with Retry-After', 'RESOURCE_EXHAUSTED', refuse(429, 'TooManyRequestsException', { 'retry-after': '1' })],
    ['503', 'UNAVAILABLE', refuse(503, 'ServiceUnavailableException')],
    ['503 with Retry-After', 'RESOURCE_EXHAUSTED', refuse(503, 'SlowDownException', { 'retry-after': '1' })],
    ['500', 'UNAVAILABLE', refuse(500, 'RuntimeException')],
    ['a hang', 'DEADLINE_EXCEEDED', hang],
    ['a response that is sent slowly forever', 'DEADLINE_EXCEEDED', trickle],
    ['a body shorter than its length', 'UNAVAILABLE', cutBody('length')],
    ['a body without its last chunk', 'UNAVAILABLE', cutBody('chunks')],
    ['a body cut off by the end of the connection', 'UNAVAILABLE', cutBody('close')],
    ['a connection that breaks', 'UNAVAILABLE', ({ response }) => void response.destroy()],
    ['a redirect to itself', 'FAILED_PRECONDITION', redirect(302, (path) => path)],
    ['an HTML page', 'FAILED_PRECONDITION', htmlPage],
    ['unrelated JSON', 'DATA_LOSS', changed(() => ({ hello: 'world' }))],
  ])(
    '%s: the table fails with %s, the others are ingested, and the next run without the fault succeeds',
    async (_, code, fault) => {
      await using upstream = await connect(always(LOAD_ORDERS, fault));
      const { job, codes } = await upstream.run();
      expect(codes).toEqual({ 'fx.orders': code });
      expect(job).toMatchObject({
        state: JobState.JS_FAILED,
        counters: { errors: 1n, tablesScanned: ALL, tablesChanged: ALL - 1n },
      });
      expect(job.message).toMatch(/^Partial failure \(1\): fx\.orders: /);
      expect(await upstream.wrong(NAMES.filter((name) => name !== 'fx.orders'))).toEqual({});

      upstream.proxy.rules = [];
      const after = await upstream.run();
      expect(after.codes).toEqual({});
      expect(after.job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 1n } });
      expect(await upstream.wrong(NAMES)).toEqual({});
    },
  );
});

describe('a transient fault', () => {
  it.concurrent.each<[string, Rule[]]>([
    ['429 twice', twice(LOAD_ORDERS, refuse(429, 'TooManyRequestsException'))],
    ['429 twice with Retry-After', twice(LOAD_ORDERS, refuse(429, 'TooManyRequestsException', { 'retry-after': '1' }))],
    [
      '429 with a longer Retry-After',
      once(LOAD_ORDERS, refuse(429, 'TooManyRequestsException', { 'retry-after': '6' })),
    ],
    ['503 twice', twice(LOAD_ORDERS, refuse(503, 'ServiceUnavailableException'))],
    ['503 twice with Retry-After', twice(LOAD_ORDERS, refuse(503, 'SlowDownException', { 'retry-after': '1' }))],
    ['a hang', once(LOAD_ORDERS, hang)],
    ['a cut body', once(LOAD_ORDERS, cutBody('length'))],
    ['a broken connection', once(LOAD_ORDERS, ({ response }) => void response.destroy())],
    ['503 for the config', twice(/\/v1\/config/, refuse(503, 'ServiceUnavailableException'))],
    ['429 for the listing', twice(LIST_TABLES, refuse(429, 'TooManyRequestsException'))],
    ['a cut listing', once(LIST_TABLES, cutBody('chunks'))],
    [
      'a redirect on the same host',
      always(
        /orders\?snapshots=all$/,
        redirect(307, (path) => `${path}&moved=1`),
      ),
    ],
  ])('%s: the run ingests everything', async (_, rules) => {
    await using upstream = await connect(rules);
    const { job, failures } = await upstream.run();
    expect(failures).toEqual([]);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: ALL } });
    expect(await upstream.wrong(NAMES)).toEqual({});
  });
});

describe('a fault of the whole run', () => {
  it.concurrent.each<[string, string, Rule[]]>([
    ['a page of tables that repeats forever', 'FAILED_PRECONDITION', always(LIST_TABLES, firstPageForEver(['again']))],
    ['pages of tables in a cycle', 'DATA_LOSS', always(LIST_TABLES, firstPageForEver(['a', 'b', 'c']))],
    [
      'a page of namespaces that repeats forever',
      'FAILED_PRECONDITION',
      always(/\/v1\/namespaces\?/, firstPageForEver(['again'])),
    ],
    ['403 for the listing', 'PERMISSION_DENIED', always(LIST_TABLES, refuse(403, 'ForbiddenException'))],
    ['an HTML page for the listing', 'FAILED_PRECONDITION', always(LIST_TABLES, htmlPage)],
    [
      'a listing without tables',
      'NOT_FOUND',
      always(
        LIST_TABLES,
        changed(() => ({ identifiers: [] })),
      ),
    ],
  ])('%s: the job fails with %s, and no table counts as dropped', async (_, code, rules) => {
    await using upstream = await connect([]);
    expect((await upstream.run()).job.state).toBe(JobState.JS_SUCCEEDED);

    upstream.proxy.rules = rules;
    const { job, codes } = await upstream.run();
    expect(codes).toEqual({ '': code });
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n, tablesMissing: 0n } });
    expect(await upstream.missing()).toEqual([]);

    upstream.proxy.rules = [];
    const after = await upstream.run();
    expect(after.job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: 0n, tablesUnchanged: ALL },
    });
    expect(await upstream.wrong(NAMES)).toEqual({});
  });
});

describe('a catalog that cannot be opened', () => {
  it.concurrent.each<[string, string, Fault]>([
    ['401', 'UNAUTHENTICATED', refuse(401, 'NotAuthorizedException')],
    ['403', 'PERMISSION_DENIED', refuse(403, 'ForbiddenException')],
    ['404, as from a server of another kind', 'FAILED_PRECONDITION', refuse(404, 'NotFound')],
    ['a hang', 'DEADLINE_EXCEEDED', hang],
    ['a broken connection', 'UNAVAILABLE', ({ response }) => void response.destroy()],
    ['an HTML page', 'FAILED_PRECONDITION', htmlPage],
  ])(
    '%s for its config: the job fails with %s, and the next job without the fault succeeds',
    async (_, code, fault) => {
      await using upstream = await connect(always(/\/v1\/config/, fault));
      const { job, codes } = await upstream.run();
      expect(codes).toEqual({ '': code });
      expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n, tablesScanned: 0n } });

      upstream.proxy.rules = [];
      expect((await upstream.run()).job).toMatchObject({
        state: JobState.JS_SUCCEEDED,
        counters: { tablesChanged: ALL },
      });
      expect(await upstream.wrong(NAMES)).toEqual({});
    },
  );
});

describe('credentials', () => {
  const auth = { scheme: AuthScheme.AUTH_SCHEME_OAUTH2, secretRef: 'env:FAULTS_CLIENT' };

  it.concurrent('are renewed after a 401 in the middle of a run, and every table is ingested', async () => {
    const gate = new TokenGate(CLIENT, 4);
    await using upstream = await connect(gate.rules, { auth });
    const { job, failures } = await upstream.run();
    expect(failures).toEqual([]);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: ALL } });
    expect(gate.issued.length).toBeGreaterThan(1);
    expect(await upstream.wrong(NAMES)).toEqual({});
  });

  it.concurrent('that are wrong fail the job with a message', async () => {
    await using upstream = await connect(new TokenGate({ ...CLIENT, secret: 'another' }).rules, { auth });
    const { job, failures } = await upstream.run();
    expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: 1n } });
    expect(failures).toMatchObject([{ table: '', code: 'UNAUTHENTICATED' }]);
    expect(job.message).not.toContain(CLIENT.secret);
  });

  it.concurrent('are not sent to another host that a redirect leads to', async () => {
    const gate = new TokenGate(CLIENT);
    await using elsewhere = await startFaultProxy(rest.url);
    const redirectAway = always(
      LOAD_ORDERS,
      redirect(302, (path) => elsewhere.url + path),
    );
    await using upstream = await connect([...gate.rules, ...redirectAway], { auth });
    const { codes } = await upstream.run();
    expect(codes).toEqual({ 'fx.orders': 'FAILED_PRECONDITION' });
    expect(elsewhere.requests.filter(({ headers }) => headers.authorization)).toEqual([]);
  });
});

it('reports a namespace that may not be listed, ingests the others, and drops nothing', async () => {
  const rules = always(/\/namespaces\/bad\/tables\?/, refuse(403, 'ForbiddenException'));
  await using upstream = await connect(rules, { source: {} });
  for (const changedTables of [ALL, 0n]) {
    const { job, codes } = await upstream.run();
    expect(codes).toEqual({ 'namespace bad': 'PERMISSION_DENIED' });
    expect(job).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { errors: 1n, tablesChanged: changedTables, tablesMissing: 0n },
    });
    expect(job.message).toMatch(/^Partial failure \(1\): namespace bad: /);
  }
  expect(await upstream.wrong(NAMES)).toEqual({});
});

describe('a table of an earlier run', () => {
  it.concurrent('does not count as dropped if it is listed and returns 404', async () => {
    await using upstream = await connect([]);
    await upstream.run();
    upstream.proxy.rules = always(LOAD_ORDERS, refuse(404, 'NoSuchTableException'));
    const { job, codes } = await upstream.run();
    expect(codes).toEqual({ 'fx.orders': 'NOT_FOUND' });
    expect(job).toMatchObject({ counters: { tablesUnchanged: ALL - 1n, tablesMissing: 0n } });
    expect(await upstream.missing()).toEqual([]);
    expect(await upstream.wrong(NAMES)).toEqual({});

    upstream.proxy.rules = [];
    expect((await upstream.run()).job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    expect(await upstream.wrong(NAMES)).toEqual({});
  });

  it.concurrent('does not count as dropped if a listing omits it and the listing that would confirm this fails', async () => {
    await using upstream = await connect([]);
    await upstream.run();
    const withoutOrders = changed(({ identifiers }) => ({
      identifiers: (identifiers as { name: string }[]).filter(({ name }) => name !== 'orders'),
    }));
    upstream.proxy.rules = [
      ...once(LIST_TABLES, withoutOrders),
      ...always(LIST_TABLES, refuse(403, 'ForbiddenException')),
    ];
    const { job, codes } = await upstream.run();
    expect(codes).toEqual({ '': 'PERMISSION_DENIED' });
    expect(countersOf(job).tablesMissing).toBe(0n);
    expect(await upstream.missing()).toEqual([]);
  });
});

it("delays only the one table with a truncated metadata file, over which Iceberg's server hangs for 91 seconds", async () => {
  await using upstream = await connect([], { source: {}, properties: IMPATIENT });
  const { job, codes } = await upstream.run();
  expect(codes).toEqual({ 'bad.truncated_metadata': 'DEADLINE_EXCEEDED' });
  expect(job).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { errors: 1n, tablesScanned: ALL + 1n, tablesChanged: ALL },
  });
  expect(await upstream.wrong(NAMES)).toEqual({});

  repair(truncated[0]!.truth.metadata_location.replace(/^file:\/lake/, folder));
  const after = await upstream.run();
  expect(after.codes).toEqual({});
  expect(after.job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 1n } });
});

/** Replaces the damaged metadata file with the previous one, because there is no undamaged copy of it. */
function repair(file: string): void {
  const names = readdirSync(join(file, '..')).filter((name) => name.endsWith('.metadata.json'));
  const before = names.sort().at(-2)!;
  writeFileSync(file, readFileSync(join(file, '..', before)));
}
