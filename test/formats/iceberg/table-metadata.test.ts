import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CodedError } from '../../../src/errors.ts';
import { parentsFirst, withoutCycles } from '../../../src/formats/iceberg/snapshot-order.ts';
import { parseTableMetadata, type SnapshotMetadata } from '../../../src/formats/iceberg/table-metadata.ts';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import { losslessJson, parseLosslessJson } from '../../../src/formats/json/lossless-json.ts';
import { MalformedError } from '../../../src/formats/malformed.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { SCHEMA, snapshot, tableMetadata } from './write-table.ts';

const parse = (text: string | Uint8Array) => parseTableMetadata(Buffer.from(text as string), '/t/v1.metadata.json');
const parseObject = (metadata: unknown) => parse(JSON.stringify(metadata));

function failure(action: () => unknown): CodedError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(CodedError);
    return error as CodedError;
  }
  throw new Error('it did not fail');
}

describe('parseLosslessJson', () => {
  it('returns the same as JSON.parse if there are no long integers', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = JSON.stringify(value);
        if (!/\d{16}/.test(text)) expect(parseLosslessJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('keeps long integers exact, and digits in strings unchanged', () => {
    const element = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
      fc
        .constantFrom(
          '"1234567890123456789"',
          '"a:1234567890123456789,"',
          '"\\"',
          '""',
          '"\\\\"',
          '1.5',
          '12e3',
          'null',
        )
        .map((text) => (text === '"\\"' ? '"\\" 12345678901234567890"' : text)),
      fc.constantFrom('0.12345678901234567', '12345678901234567.5', '12345678901234567e3'),
    );
    fc.assert(
      fc.property(fc.array(element), fc.constantFrom(',', ' , ', ',\n'), (parts, comma) => {
        const text = `[${parts.join(comma)}]`;
        const values = parseLosslessJson(text) as unknown[];
        for (const [index, value] of values.entries()) {
          const part = parts[index] as string;
          if (/^-?\d{16,}$/.test(part)) expect(losslessJson(value)).toBe(part);
          else expect(value).toEqual(JSON.parse(part));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['', '{', '{"a":"1234567890123456789', '{"a":12345678901234567890', 'x1234567890123456789', '["\\"]'])(
    'rejects %j',
    (text) => {
      expect(() => parseLosslessJson(text)).toThrow(MalformedError);
    },
  );
});

describe('parseTableMetadata', () => {
  it('keeps 64-bit ids exact', () => {
    const text = JSON.stringify(tableMetadata({ snapshots: [snapshot(1), snapshot(2)], 'current-snapshot-id': 1 }))
      .replaceAll('"snapshot-id":1', '"snapshot-id":9223372036854775807')
      .replaceAll('"current-snapshot-id":1', '"current-snapshot-id":9223372036854775807')
      .replaceAll('"snapshot-id":2', '"snapshot-id":-9223372036854775808');
    const metadata = parse(text);
    expect(metadata.currentSnapshotId).toBe(9223372036854775807n);
    expect(metadata.snapshots.map(({ snapshotId }) => snapshotId)).toEqual([
      9223372036854775807n,
      -9223372036854775808n,
    ]);
    expect(metadata.refs).toEqual([{ name: 'main', snapshotId: 9223372036854775807n, type: 'branch' }]);
  });

  it('detects gzip by its first bytes, and limits its size', () => {
    const text = JSON.stringify(tableMetadata());
    expect(parse(gzipSync(text))).toEqual(parse(text));
    const bomb = gzipSync(Buffer.alloc(130 * 1024 * 1024, ' '));
    expect(failure(() => parse(bomb)).message).toMatch(/ is too large: it has more than 128\.0 MiB\. Expire snapshots/);
  });

  it('has no current snapshot if the id is -1, null or absent', () => {
    for (const id of [-1, null, undefined]) {
      const metadata = parseObject(tableMetadata({ 'current-snapshot-id': id }));
      expect(metadata.currentSnapshotId).toBeUndefined();
      expect(metadata.refs).toEqual([]);
    }
  });

  it('keeps the long integers of a schema as numbers', () => {
    const schema = JSON.stringify(SCHEMA).replace('"id":1,', '"id":1,"initial-default":1234567890123456789,');
    const metadata = parse(JSON.stringify(tableMetadata()).replace(JSON.stringify(SCHEMA), schema));
    expect(metadata.schemas).toEqual([{ id: 0, json: schema }]);
  });

  it('reads refs, summaries and transforms of several columns', () => {
    const metadata = parseObject(
      tableMetadata({
        'format-version': 3,
        snapshots: [snapshot(1, { summary: { operation: 'delete', __proto__x: '1', 'total-records': '7' } })],
        refs: { tagged: { 'snapshot-id': 1, type: 'TAG', 'max-ref-age-ms': 5 } },
        'partition-specs': [
          { 'spec-id': 0, fields: [{ name: 'b', transform: 'bucketV2[4]', 'source-ids': [1, 2], 'field-id': 1000 }] },
        ],
      }),
    );
    expect(metadata.refs).toEqual([{ name: 'tagged', snapshotId: 1n, type: 'tag', maxRefAgeMs: 5n }]);
    expect(metadata.partitionSpecs[0]?.fields[0]?.sourceIds).toEqual([1, 2]);
    expect(metadata.snapshots[0]).toMatchObject({ operation: 'delete' });
    expect(JSON.parse(metadata.snapshots[0]!.summaryJson)).toMatchObject({ 'total-records': '7' });
  });

  it.each([
    ['not JSON', 'garbage', 'DATA_LOSS', /not JSON/],
    ['an empty file', '', 'DATA_LOSS', /empty/],
    ['a list', '[]', 'DATA_LOSS', /the document should be an object/],
    ['no version', '{}', 'DATA_LOSS', /format-version should be an integer .* is missing/],
    ['a view', '{"view-uuid":"x","format-version":1}', 'FAILED_PRECONDITION', /of a view/],
    ['truncated gzip', gzipSync('{}').subarray(0, 12), 'DATA_LOSS', /gzipped/],
    ['version 4', JSON.stringify(tableMetadata({ 'format-version': 4 })), 'UNIMPLEMENTED', /versions 1 to 3/],
    ['version 0', JSON.stringify(tableMetadata({ 'format-version': 0 })), 'DATA_LOSS', /at least 1/],
  ])('fails for %s', (_, text, code, message) => {
    const error = failure(() => parse(text));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('/t/v1.metadata.json');
  });

  it.each([
    [{ location: 7 }, /location should be a string but is 7/],
    [{ 'last-updated-ms': 'now' }, /last-updated-ms should be a 64-bit integer/],
    [{ 'last-updated-ms': 1e300 }, /last-updated-ms should be a 64-bit integer/],
    [{ properties: { a: 1 } }, /properties\.a should be a string/],
    [{ properties: [] }, /properties should be an object/],
    [{ schemas: 'x' }, /schemas should be a list/],
    [{ schemas: [SCHEMA, SCHEMA] }, /schemas has the id 0 twice/],
    [{ schemas: [{ type: 'struct', 'schema-id': 0, fields: 3 }] }, /schemas\[0\] \(id 0\)/],
    [{ 'current-schema-id': 9 }, /current-schema-id is 9/],
    [{ 'current-schema-id': 2 ** 40 }, /a 32-bit integer/],
    [{ 'default-spec-id': 9 }, /default-spec-id is 9/],
    [{ 'partition-specs': [{ 'spec-id': 0, fields: [{}] }] }, /partition-specs\[0\]\.fields\[0\]\.name should be/],
    [{ snapshots: [{}] }, /snapshots\[0\]\.snapshot-id should be a 64-bit integer/],
    [{ snapshots: [snapshot(1, { 'snapshot-id': 1.5 })] }, /64-bit integer but is 1\.5/],
    [{ snapshots: [snapshot(1), snapshot(1)] }, /snapshots has the id 1 twice/],
    [{ snapshots: [snapshot(1, { 'manifest-list': undefined })] }, /manifest-list/],
    [{ snapshots: [snapshot(1, { summary: { operation: 5 } })] }, /summary\.operation/],
    [{ 'current-snapshot-id': 5 }, /current-snapshot-id is 5, but snapshots has none/],
    [{ refs: { main: { 'snapshot-id': 5, type: 'branch' } } }, /refs\.main is snapshot 5/],
    [
      { snapshots: [snapshot(1)], refs: { x: { 'snapshot-id': 1, type: 'twig' } } },
      /refs\.x\.type should be branch or tag/,
    ],
  ])('names the invalid field in %j', (more, message) => {
    const error = failure(() => parseObject(tableMetadata(more)));
    expect(error.code).toBe('DATA_LOSS');
    expect(error.message).toMatch(message);
  });

  it('fails only with CodedErrors, whatever value a field has', () => {
    const whole = tableMetadata({
      snapshots: [snapshot(1), snapshot(2, { 'parent-snapshot-id': 1 })],
      refs: { main: { 'snapshot-id': 2, type: 'branch' } },
      'current-snapshot-id': 2,
      'partition-specs': [
        { 'spec-id': 0, fields: [{ name: 'p', transform: 'void', 'source-id': 1, 'field-id': 1000 }] },
      ],
    });
    const places: string[][] = [];
    const walk = (value: unknown, path: string[]) => {
      places.push(path);
      if (typeof value !== 'object' || value === null) return;
      for (const [key, below] of Object.entries(value)) walk(below, [...path, key]);
    };
    walk(whole, []);
    fc.assert(
      fc.property(fc.constantFrom(...places), fc.jsonValue(), (path, value) => {
        const copy = structuredClone({ root: whole }) as Record<string, unknown>;
        let at: Record<string, unknown> = copy;
        const full = ['root', ...path];
        for (const key of full.slice(0, -1)) at = at[key] as Record<string, unknown>;
        at[full[full.length - 1] as string] = value;
        try {
          parseObject(copy.root);
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('does not overflow the stack on deep nesting', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    for (const field of ['schemas', 'properties', 'location']) {
      const text = JSON.stringify(tableMetadata({ [field]: 'DEEP' })).replace('"DEEP"', deep);
      expect(failure(() => parse(text)).code).toBe('DATA_LOSS');
    }
    const doc = JSON.stringify(SCHEMA).replace('"id":1,', `"id":1,"doc":${deep},`);
    const text = JSON.stringify(tableMetadata()).replace(JSON.stringify(SCHEMA), doc);
    expect(failure(() => parse(text)).code).toBe('DATA_LOSS');
  });
});

describe('parentsFirst', () => {
  const snapshotOf = (id: number, parent?: number, at = id): SnapshotMetadata => ({
    snapshotId: BigInt(id),
    parentSnapshotId: parent === undefined ? undefined : BigInt(parent),
    sequenceNumber: 0,
    committedAtMs: at,
    operation: '',
    summaryJson: '{}',
    manifestList: 'x',
  });
  const order = (...snapshots: SnapshotMetadata[]) =>
    parentsFirst(snapshots).map(({ snapshotId }) => Number(snapshotId));

  it('sorts parents before children even if their clocks differ', () => {
    expect(order(snapshotOf(3, 2, 1), snapshotOf(2, 1, 5), snapshotOf(1, undefined, 9))).toEqual([1, 2, 3]);
  });

  it('otherwise sorts the oldest first, and accepts expired parents', () => {
    expect(
      order(snapshotOf(5, 1, 50), snapshotOf(4, 2, 40), snapshotOf(2, 99, 30), snapshotOf(7, undefined, 10)),
    ).toEqual([7, 2, 4, 5]);
  });

  it.each<[string, SnapshotMetadata[], [id: number, parent: number | undefined][]]>([
    [
      'of three',
      [snapshotOf(1, 3), snapshotOf(2, 1), snapshotOf(3, 2)],
      [
        [1, undefined],
        [2, 1],
        [3, 2],
      ],
    ],
    ['of one', [snapshotOf(1, 1)], [[1, undefined]]],
    [
      'that others come from, with one time, beside a second one',
      [snapshotOf(9, 5, 1), snapshotOf(5, 4, 7), snapshotOf(4, 5, 7), snapshotOf(6, 6, 0)],
      [
        [6, undefined],
        [4, undefined],
        [5, 4],
        [9, 5],
      ],
    ],
  ])('opens a cycle of parents %s at its oldest snapshot, in whatever order they are listed', (_, cyclic, expected) => {
    for (const snapshots of [cyclic, cyclic.toReversed()]) {
      const opened = parentsFirst(withoutCycles(snapshots));
      expect(opened.map((s) => [s.snapshotId, s.parentSnapshotId].map((id) => id && Number(id)))).toEqual(expected);
    }
  });

  it('sorts long histories', () => {
    const snapshots = Array.from({ length: 100_000 }, (_, index) => snapshotOf(index, index - 1, 100_000 - index));
    expect(order(...withoutCycles(snapshots))[99_999]).toBe(99_999);
  });
});

describe('metadata that is too large', () => {
  const advice = 'Expire snapshots, and remove branches, tags, properties and columns that nobody needs.';

  it('is refused without being read, and not as if it were broken', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'large-'));
    try {
      const metadataLocation = join(folder, 'v1.metadata.json');
      writeFileSync(metadataLocation, '');
      truncateSync(metadataLocation, 200 * 1024 * 1024);
      const open = openIcebergTable({ store: new FileStore(), metadataLocation, fingerprint: 'f' });
      await expect(open).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: `table metadata ${metadataLocation} is too large: it has 200.0 MiB, at most 128.0 MiB are read. ${advice}`,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
