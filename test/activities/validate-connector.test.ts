import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { validateConnector } from '../../src/activities/validate-connector.ts';
import { openConnector } from '../../src/connectors/open-connector.ts';
import type { UpstreamCatalog } from '../../src/connectors/spi.ts';
import type { ValidateResult } from '../../src/contract/job.ts';
import { CodedError, type CodeName } from '../../src/errors.ts';
import { Connector } from '../../src/generated/reconciler/v1/connectors.ts';
import { ROOT } from '../integration/stack/running-stack.ts';
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
    openUncached: upstream ?? ((spec) => openConnector(spec, {})),
  } as Partial<ActivityDeps> as ActivityDeps;
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return (await environment.run(validateConnector, deps, {
    connectorJson: JSON.stringify(Connector.toJSON(Connector.fromJSON(connector))),
  })) as ValidateResult;
}

const source = (path: string[], table?: string) => ({ source: { namespacePath: path, table } });

describe('a warehouse folder', () => {
  it('reports what it found', async () => {
    const all = await validate({});
    expect(all).toMatchObject({ ok: true, summary: `22 Iceberg tables in 2 namespaces found in file://${WAREHOUSE}.` });
    expect(all.sampleTables).toHaveLength(20);
    const one = await validate(source(['fx']));
    expect(one).toMatchObject({
      ok: true,
      summary: `19 Iceberg tables in 1 namespace found in namespace fx of file://${WAREHOUSE}.`,
    });
    expect(one.sampleTables).toContain('fx.orders');
    expect(await validate(source(['fx'], 'orders'))).toEqual({
      ok: true,
      summary: 'Table fx.orders is there and can be read.',
      sampleTables: ['fx.orders'],
    });
  });

  it('reports what patterns take of it', async () => {
    const where = `in 1 namespace found in file://${WAREHOUSE}`;
    expect(await validate({ source: { includeTables: ['fx.orders', 'bad.*'] } })).toMatchObject({
      ok: true,
      summary: `4 Iceberg tables in 2 namespaces found in file://${WAREHOUSE}, 18 left out by the patterns.`,
    });
    expect(await validate({ source: { includeTables: ['fx.orders'] } })).toEqual({
      ok: true,
      summary: `1 Iceberg table ${where}, 21 left out by the patterns.`,
      sampleTables: ['fx.orders'],
    });
    expect(await validate({ source: { excludeNamespaces: ['*'] } })).toMatchObject({
      ok: false,
      summary: `The patterns include none of the 22 tables of file://${WAREHOUSE}: check them.`,
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

  it('is right if one table of several may not be read', async () => {
    class Partly extends MemoryUpstream {
      override openTable = (async ({ name }: { name: string }) => {
        if (name === 't') throw new CodedError('PERMISSION_DENIED', 'no');
        return { async [Symbol.asyncDispose]() {} };
      }) as never;
    }
    const upstream = new Partly();
    upstream.namespaces.push(['a']);
    upstream.tables.push({ namespace: ['a'], name: 't' }, { namespace: ['a'], name: 'u' });
    expect(await validate({}, async () => upstream)).toMatchObject({ ok: true });
  });
});
