import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { validateConnector } from '../../src/activities/validate-connector.ts';
import type { ConnectorSpec } from '../../src/connectors/connector-spec.ts';
import { openConnector } from '../../src/connectors/open-connector.ts';
import type { UpstreamCatalog } from '../../src/connectors/spi.ts';
import type { ValidateResult } from '../../src/contract/job.ts';
import { CodedError, type CodeName } from '../../src/errors.ts';
import { Connector } from '../../src/generated/reconciler/v1/connectors.ts';
import { ROOT } from '../integration/stack/running-stack.ts';
import { fakeOnly } from '../jest/fake-timers.ts';
import { MemoryUpstream } from './memory-upstream.ts';

const WAREHOUSE = join(ROOT, 'test/fixtures/iceberg/wh');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-validate-'));
  for (const name of Array.from({ length: 13 }, (_, i) => `n${i}`))
    mkdirSync(join(folder, name, 'below'), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Validates a connector with these fields. @param upstream instead of the described one */
async function validate(fields: object, upstream?: () => Promise<UpstreamCatalog>): Promise<ValidateResult> {
  const connector = { kind: 'CONNECTOR_KIND_ICEBERG', uri: `file://${WAREHOUSE}`, ...fields };
  const deps = {
    openConnector: () => Promise.reject(new Error('shared, with secrets that may have changed since')),
    openUncached: upstream ?? ((spec: ConnectorSpec) => openConnector(spec, {})),
    catalog: { reconciliation: { getConnectorDraft: async () => Connector.fromJSON(connector) } },
  } as unknown as ActivityDeps;
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return (await environment.run(validateConnector, deps, {
    draftId: 'draft_1',
  })) as ValidateResult;
}

/** What an opened table has that validation reads. */
const opened = (id?: bigint) => ({
  descriptor: { currentSnapshotId: id },
  liveFileCounts: async () => undefined,
  async *snapshots() {
    yield { manifestList: 's3://b/list' };
  },
  async [Symbol.asyncDispose]() {},
});

/** The tables a.t, a.u, … and what happens when each of them is opened. */
function tables(...open: (() => unknown)[]): MemoryUpstream {
  const upstream = new MemoryUpstream();
  upstream.namespaces.push(['a']);
  open.forEach((_, i) => {
    upstream.tables.push({ namespace: ['a'], name: `t${i}` });
  });
  upstream.openTable = (async ({ name }: { name: string }) => open[Number(name.slice(1))]?.()) as never;
  return upstream;
}
const fails = (code: CodeName) => () => {
  throw new CodedError(code, `${code} for the test`);
};
const summaryOf = async (upstream: MemoryUpstream) => {
  const { ok, summary } = await validate({ uri: 'c' }, async () => upstream);
  return `${ok}: ${summary.replace(/^\d+ Iceberg tables? in 1 namespace found in c/, '…')}`;
};

it('reports objects of kinds that are not read', async () => {
  const upstream = tables(() => opened());
  upstream.listTables = async (namespace) =>
    namespace.length === 0 ? { items: [] } : { items: [{ namespace, name: 't0', format: 'DELTA' }], otherKinds: 2 };
  expect(await validate({ uri: 'c' }, async () => upstream)).toMatchObject({
    ok: true,
    summary: expect.stringMatching(/^1 Delta table in 1 namespace found in c, 2 tables of kinds that are not read\. /),
  });
  upstream.listTables = async () => ({ items: [], otherKinds: 1 });
  expect(await summaryOf(upstream)).toBe(
    'false: No table found in c but 2 tables of kinds that are not read. If they are the ones, create a connector of kind delta.',
  );
});

it.each([
  ['UNITY', { catalogue: 'main' }, ' There is no property catalogue: did you mean catalog?'],
  ['DELTA', { 's3.endpint': 'http://minio' }, ' There is no property s3.endpint: did you mean s3.endpoint?'],
  [
    'UNITY',
    { 'S3.Region': 'x', 'rest.acces-delegation': 'none' },
    ' There is no property S3.Region: did you mean s3.region? There is no property rest.acces-delegation: did you mean rest.access-delegation?',
  ],
  [
    'ICEBERG',
    {
      catalogue: 'main',
      's3.sse.type': 'kms',
      'header.X': 'y',
      type: 'rest',
      'adls.sas-token.account': 'env:X',
      's3.connect-timeout-ms': '1',
    },
    '',
  ],
  ['GLUE', { 'glue.format': 'delta' }, ' There is no property glue.format: did you mean glue.formats?'],
])('names misspelled properties of kind %s: %j', async (kind, properties, sentence) => {
  const { summary } = await validate({ kind: `CONNECTOR_KIND_${kind}`, uri: 'c', properties }, async () =>
    tables(() => opened(1n)),
  );
  expect(summary.replace(/^.*?\/list\./, '')).toBe(sentence);
});

it('is wrong if a table is in no namespace, and the connector names none for it', async () => {
  const upstream = (...others: (() => unknown)[]) => {
    const upstream = tables(() => opened(), ...others);
    upstream.tables[0] = { namespace: [], name: 't0' };
    return upstream;
  };
  expect(await validate({ uri: 'c' }, async () => upstream())).toMatchObject({
    ok: false,
    summary: expect.stringMatching(
      /^1 Iceberg table found in c\. .*configured wrongly: Table t0 is in no namespace upstream\. Exclude it, or .*--destination-namespace/,
    ),
  });
  expect(await validate({ uri: 'c' }, async () => upstream(() => opened()))).toMatchObject({
    ok: true,
    summary: expect.stringMatching(
      /^2 Iceberg tables in 1 namespace .*One will be an error of the job: Table t0 is in no namespace/,
    ),
  });
  const destination = { namespacePath: ['n'] };
  expect(await validate({ uri: 'c', destination }, async () => upstream())).toMatchObject({ ok: true });
});

const source = (path: string[], table?: string) => ({ source: { namespacePath: path, table } });

describe('a warehouse folder', () => {
  it('reports what it found', async () => {
    const all = await validate({});
    expect(all).toMatchObject({
      ok: true,
      summary: expect.stringContaining(`22 Iceberg tables in 2 namespaces found in file://${WAREHOUSE}. Table bad.`),
    });
    expect(all.summary).toMatch(
      / Table bad\.missing_manifest can be read: its metadata, and the manifest list file:\/lake\/[^ ]*\/snap-[^ ]*\.avro\.$/,
    );
    expect(all.sampleTables).toHaveLength(20);
    const one = await validate(source(['fx']));
    expect(one).toMatchObject({
      ok: true,
      summary: expect.stringContaining(
        `19 Iceberg tables in 1 namespace found in namespace fx of file://${WAREHOUSE}. Table fx.`,
      ),
    });
    expect(one.sampleTables).toContain('fx.orders');
    expect(await validate(source(['fx'], 'orders'))).toEqual({
      ok: true,
      summary: expect.stringMatching(/^Table fx\.orders can be read: its metadata, and the manifest list .*\.avro\.$/),
      sampleTables: ['fx.orders'],
    });
  });

  it('reports what patterns take of it', async () => {
    const where = `in 1 namespace found in file://${WAREHOUSE}`;
    expect(await validate({ source: { includeTables: ['fx.orders', 'bad.*'] } })).toMatchObject({
      ok: true,
      summary: expect.stringContaining(
        `4 Iceberg tables in 2 namespaces found in file://${WAREHOUSE}, 18 tables left out by the patterns. `,
      ),
    });
    expect(await validate({ source: { includeTables: ['fx.orders'] } })).toEqual({
      ok: true,
      summary: expect.stringContaining(
        `1 Iceberg table ${where}, 18 tables and 1 namespace left out by the patterns. Table fx.orders can be read: `,
      ),
      sampleTables: ['fx.orders'],
    });
    expect(await validate({ source: { excludeNamespaces: ['*'] } })).toMatchObject({
      ok: false,
      summary: `The patterns include no table of file://${WAREHOUSE}: they leave out 2 namespaces. Check them.`,
    });
  });

  it('is not wrong for broken tables', async () => {
    expect(await validate(source(['bad']))).toMatchObject({
      ok: true,
      summary: expect.stringContaining('3 Iceberg tables'),
    });
    expect(await validate(source(['bad'], 'truncated_metadata'))).toMatchObject({
      ok: false,
      summary: expect.stringMatching(/^DATA_LOSS: .*truncated_metadata/),
    });
  });

  it.each([
    ['a namespace', ['sales'], undefined, 'Namespace sales does not exist: the upstream has bad, fx.'],
    [
      'a namespace below',
      ['fx', 'eu', 'x'],
      undefined,
      'Namespace fx.eu does not exist: namespace fx has no namespaces.',
    ],
    ['the namespace of a table', ['sales'], 'orders', 'Namespace sales does not exist: the upstream has bad, fx.'],
    [
      'a table',
      ['bad'],
      'orders',
      'Table bad.orders does not exist: namespace bad has missing_manifest, missing_metadata, truncated_metadata.',
    ],
  ])('reports that %s does not exist, and what does', async (_, path, table, summary) => {
    expect(await validate(source(path, table))).toEqual({ ok: false, summary, sampleTables: [] });
  });

  it('shows the first of many names', async () => {
    expect((await validate({ uri: `file://${folder}`, ...source(['sales']) })).summary).toBe(
      'Namespace sales does not exist: the upstream has n0, n1, n10, n11, n12, n2, n3, n4, n5, n6 and 3 more.',
    );
  });

  it('reports that there is no table', async () => {
    expect(await validate({ uri: `file://${folder}`, ...source(['n3']) })).toEqual({
      ok: false,
      summary: `No table found in namespace n3 of file://${folder}; its namespaces are below. Check the URI and the source namespace.`,
      sampleTables: [],
    });
  });

  it('reports that the folder itself does not exist', async () => {
    expect(await validate({ uri: 'file:///absent/warehouse' })).toMatchObject({
      ok: false,
      summary: expect.stringMatching(/^The address or the warehouse does not exist: .*\/absent\/warehouse/),
    });
  });
});

describe('an upstream that fails', () => {
  it.each([
    ['UNAUTHENTICATED', /^The credentials are rejected: for the test$/],
    ['PERMISSION_DENIED', /^A permission is missing: /],
    ['UNAVAILABLE', /^The address does not respond: /],
    ['DEADLINE_EXCEEDED', /^The address does not respond in time: /],
    ['INVALID_ARGUMENT', /^The connector is configured wrongly: /],
    ['RESOURCE_EXHAUSTED', /^The upstream asks to slow down: /],
    ['UNIMPLEMENTED', /^This upstream cannot be read: /],
  ] satisfies [CodeName, RegExp][])('with %s is reported with what is wrong', async (code, summary) => {
    const failing = () => Promise.reject(new CodedError(code, 'for the test'));
    expect(await validate({}, failing)).toEqual({
      ok: false,
      summary: expect.stringMatching(summary),
      sampleTables: [],
    });
    class Listing extends MemoryUpstream {
      override listTables = failing;
    }
    expect((await validate({}, async () => new Listing())).summary).toMatch(summary);
  });

  it('is wrong if it lists tables that may not be read', async () => {
    class Forbidden extends MemoryUpstream {
      override openTable = () => Promise.reject(new CodedError('PERMISSION_DENIED', 'cannot read s3://b/k'));
    }
    const upstream = new Forbidden();
    upstream.namespaces.push(['a']);
    upstream.tables.push({ namespace: ['a'], name: 't' }, { namespace: ['a'], name: 'u' });
    expect(await validate({ uri: 'https://c/' }, async () => upstream)).toEqual({
      ok: false,
      summary:
        '2 Iceberg tables in 1 namespace found in https://c/, but none that was tried can be read. A permission is missing: cannot read s3://b/k',
      sampleTables: ['a.t', 'a.u'],
    });
  });

  it.each<[string, (() => unknown)[], string]>([
    ['another table has a snapshot', [() => opened(), () => opened(5n)], 'true: …. Table a.t1 can be read: '],
    ['another table may be read', [fails('PERMISSION_DENIED'), () => opened(5n)], 'true: …. Table a.t1 can be read: '],
    ['another table is broken', [fails('DATA_LOSS'), () => opened(5n)], 'true: …. Table a.t1 can be read: '],
    [
      'no table has a snapshot',
      [() => opened(), () => opened()],
      'true: …. The metadata of table a.t0 can be read; it has no',
    ],
    ['the others are broken', [fails('DATA_LOSS'), () => opened()], 'true: …. The metadata of table a.t1 can be read'],
    [
      'all are broken',
      [fails('DATA_LOSS'), fails('NOT_FOUND')],
      'false: …, but none that was tried can be read. DATA_LOSS: ',
    ],
    [
      'storage was denied',
      [() => opened(), fails('UNAUTHENTICATED')],
      'false: …, but none .* The credentials are rejected: ',
    ],
    [
      'a setting is missing',
      [fails('DATA_LOSS'), fails('FAILED_PRECONDITION')],
      'false: …, but none .* The connector cannot be',
    ],
  ])('decides by the tables that were tried, if %s', async (_, open, summary) => {
    expect(await summaryOf(tables(...open))).toMatch(new RegExp(`^${summary}`));
  });

  it('is tried with a few tables if it refuses all, and with one if it does not respond', async () => {
    const tried = async (code: CodeName) => {
      let n = 0;
      const open = () => {
        n += 1;
        return fails(code)();
      };
      expect(await summaryOf(tables(...Array(30).fill(open)))).toMatch(/^false/);
      return n;
    };
    expect(await tried('PERMISSION_DENIED')).toBe(3);
    expect(await tried('UNAVAILABLE')).toBe(1);
    expect(await tried('DATA_LOSS')).toBe(20);
  });

  it('is read as far as it was listed, if listing takes long', async () => {
    fakeOnly(['Date']);
    const upstream = tables(() => opened(5n));
    for (let i = 0; i < 100; i++) upstream.namespaces.push([`empty${i}`]);
    const { listTables } = upstream;
    upstream.listTables = async (path, page) => {
      jest.setSystemTime(Date.now() + 1_000);
      return listTables.call(upstream, path, page);
    };
    const found = '1 or more Iceberg tables in 1 or more namespaces found in c. Table a.t0 can be read: ';
    expect(await validate({ uri: 'c' }, async () => upstream)).toMatchObject({
      ok: true,
      summary: expect.stringContaining(found),
    });
    upstream.tables.length = 0;
    expect(await validate({ uri: 'c' }, async () => upstream)).toEqual({
      ok: true,
      summary: 'c responds, but its listing is long: no table was found within 25 s, so that none was read.',
      sampleTables: [],
    });
    jest.useRealTimers();
  });
});
