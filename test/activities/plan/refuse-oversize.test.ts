import { expect, it } from '@jest/globals';
import {
  refuseOversize,
  refuseOversizeSummary,
  refuseOversizeView,
} from '../../../src/activities/plan/refuse-oversize.ts';
import type { TableDescriptor } from '../../../src/formats/table-reader.ts';

const TABLE = { namespace: ['db'], name: 't' };
const MIB = 1024 * 1024;

const described = (fields: Partial<TableDescriptor>): TableDescriptor =>
  ({ properties: {}, schemas: [], currentSchemaId: 0, partitionSpecs: [], refs: [], ...fields }) as never;

it.each<[string, Partial<TableDescriptor>, RegExp]>([
  [
    'properties',
    { properties: { a: 'b', 'dbt.manifest': 'x'.repeat(46 * MIB) } },
    /^the metadata of table db\.t is too large: its properties have 46\.0 MiB, at most 7\.0 MiB are supported\. Remove properties that nobody needs, "dbt\.manifest" first\.$/,
  ],
  [
    'a schema and properties',
    { schemas: [{ id: 0, json: 'x'.repeat(5 * MIB) }], properties: { a: 'x'.repeat(4 * MIB) } },
    /its current schema has 5\.0 MiB of 9\.0 MiB/,
  ],
  ['an old schema', { schemas: [{ id: 7, json: 'x'.repeat(8 * MIB) }] }, /schema 7 has 8\.0 MiB, at most/],
  [
    'thousands of branches',
    {
      refs: Array.from({ length: 40_000 }, (_, i) => ({
        name: `${i}`.padEnd(200),
        snapshotId: 1n,
        type: 'branch' as const,
      })),
    },
    /its branches and tags have 9\.5 MiB.* Drop some of them\./,
  ],
])('refuses too large %s', (_, fields, message) => {
  expect(() => refuseOversize(TABLE, described(fields))).toThrow(message);
  expect(() => refuseOversize(TABLE, described(fields))).toThrow(
    expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
  );
});

it('takes what fits', () => {
  refuseOversize(TABLE, described({ properties: { a: 'x'.repeat(6 * MIB) } }));
  refuseOversizeSummary(1n, { a: 'x'.repeat(6 * MIB) });
});

it('refuses a too large summary', () => {
  const call = () => refuseOversizeSummary(5n, { a: 'x'.repeat(8 * MIB) });
  expect(call).toThrow(/the summary of snapshot 5 has 8\.0 MiB, at most 7\.0 MiB/);
});

it('refuses a too large view', () => {
  const schema = { id: 0, json: 'x'.repeat(4 * MIB) };
  const view = { uuid: 'u', versionId: 1, schema, defaultNamespace: [], properties: {}, fingerprint: 'f' };
  const call = (sql: string) => refuseOversizeView(TABLE, { ...view, representations: [{ sql, dialect: 'spark' }] });
  call('x'.repeat(2 * MIB));
  expect(() => call('x'.repeat(4 * MIB))).toThrow(
    'view db.t is too large: its properties, schema and SQL have 8.0 MiB, at most 7.0 MiB are supported. Shorten them.',
  );
});
