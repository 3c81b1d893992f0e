import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DeltaSchema } from '../../../src/formats/delta/columns/delta-schema.ts';
import { DeltaSchemas } from '../../../src/formats/delta/columns/delta-schema.ts';
import { FileChanges } from '../../../src/formats/delta/files/file-changes.ts';
import { FilePaths } from '../../../src/formats/delta/files/file-paths.ts';
import { passFileActions } from '../../../src/formats/delta/log/commit.ts';
import type { FileChange } from '../../../src/formats/table-reader.ts';
import { schemaWith } from './columns/logged-adds.ts';
import { fixture } from './fixtures.ts';

const ROOT = fixture('');
const TABLES = readdirSync(ROOT).filter((name) => existsSync(`${ROOT}/${name}/_delta_log`));

interface LoggedLine {
  table: string;
  line: string;
  schema: DeltaSchema;
}

/** All lines with file actions of the fixtures' commits, with the schemas of their versions. */
function loggedLines(): LoggedLine[] {
  return TABLES.flatMap((table) => {
    const log = `${ROOT}/${table}/_delta_log`;
    const schemas = new DeltaSchemas();
    const latest: Record<string, object> = {};
    const commits = readdirSync(log).filter((name) => /^\d{20}\.json$/.test(name));
    return commits.sort().flatMap((name) => {
      const lines = readFileSync(`${log}/${name}`, 'utf8').split('\n').filter(Boolean);
      try {
        for (const line of lines) Object.assign(latest, JSON.parse(line));
        const schema = schemas.schemaOf(
          { configuration: {}, partitionColumns: [], ...latest.metaData } as never,
          latest.protocol as never,
        );
        return lines.filter((line) => /^\{"(?:add|remove)"/.test(line)).map((line) => ({ table, line, schema }));
      } catch {
        // Some fixtures are broken on purpose.
        return [];
      }
    });
  });
}

/** The changes of a line, or the error; `isBytes` if no general parser was needed. */
async function read(line: Buffer, schema: DeltaSchema, general = false) {
  const changes: FileChange[] = [];
  const files = new FileChanges(new FilePaths('file:///t'), schema);
  const { line: takeLine, action } = files.target(3, () => changes);
  let isBytes = false;
  const target = {
    action,
    ...(!general && {
      line: (...args: Parameters<NonNullable<typeof takeLine>>) => {
        isBytes = takeLine?.(...args) ?? false;
        return isBytes;
      },
    }),
  };
  try {
    const bytes = Buffer.concat([line, Buffer.from('\n')]);
    const reading = passFileActions(async (start, end) => bytes.subarray(start, end), target);
    for await (const _ of reading);
    return { changes, isBytes };
  } catch (error) {
    return { error: (error as Error).message, isBytes };
  }
}

async function expectSame(line: Buffer, schema: DeltaSchema): Promise<boolean> {
  const { isBytes, ...found } = await read(line, schema);
  const { isBytes: _, ...expected } = await read(line, schema, true);
  expect(found).toEqual(expected);
  return isBytes;
}

describe('lines of added files that are read from their bytes', () => {
  const logged = loggedLines();

  it('are those that Spark and delta-rs write, and mean what a general parser finds in them', async () => {
    const adds: Record<string, { all: number; bytes: number }> = {};
    for (const { table, line, schema } of logged) {
      const isBytes = await expectSame(Buffer.from(line), schema);
      if (!line.startsWith('{"add"') || /"deletionVector":\{/.test(line)) continue;
      adds[table] ??= { all: 0, bytes: 0 };
      adds[table].all++;
      if (isBytes) adds[table].bytes++;
    }
    const sum = (kind: 'all' | 'bytes') => Object.values(adds).reduce((total, add) => total + add[kind], 0);
    expect(sum('all')).toBeGreaterThan(100);
    expect(sum('bytes') / sum('all')).toBeGreaterThan(0.9);
  });

  it('mean the same if they are damaged', async () => {
    const adds = logged.filter(({ line }) => line.startsWith('{"add"') && line.length < 4_000);
    const pieces = [
      '"',
      '\\"',
      '\\',
      '\\\\',
      '{',
      '}',
      ',',
      ':',
      '0',
      '-',
      '.5',
      'e9',
      'null',
      ' ',
      'ü',
      '\u0001',
      '[1]',
      '"x":1,',
    ];
    const damage = fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.constantFrom('', ...pieces) });
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...adds), fc.array(damage, { maxLength: 2 }), async ({ line, schema }, all) => {
        let bytes = Buffer.from(line);
        for (const { at, remove, insert } of all) {
          const start = at % bytes.length;
          bytes = Buffer.concat([bytes.subarray(0, start), Buffer.from(insert), bytes.subarray(start + remove)]);
        }
        if (await expectSame(bytes, schema)) taken++;
      }),
      { numRuns: 3_000 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  const schema = schemaWith({ a: 'string', b: 'double', 'c"d': 'long', ü: 'string', p: 'string' }, ['p']);
  const lineOf = (stats: object | string, more: object = {}) =>
    JSON.stringify({
      add: {
        path: 'x',
        partitionValues: { p: 'ä' },
        size: 1,
        modificationTime: 1,
        dataChange: true,
        stats: typeof stats === 'string' ? stats : JSON.stringify(stats),
        ...more,
      },
    });

  it('have values of any kind', async () => {
    const lines = [
      lineOf({
        numRecords: 3,
        minValues: { a: 'ü', b: -0 },
        maxValues: { a: '😀', b: 1e300 },
        nullCount: { a: 0, b: 3 },
      }),
      lineOf({ numRecords: 3, minValues: { ü: 'q', a: 'q\\"' }, maxValues: { 'c"d': 5 }, tightBounds: false }),
      lineOf({ minValues: { a: null, other: { x: [1] } }, nullCount: { a: null } }),
      lineOf('{"numRecords":1e1,"minValues":{"a":"\\u00e4","a":"b"}}'),
      lineOf(' {"numRecords":1}'),
      lineOf('not JSON'),
      lineOf('', { tags: { a: 'b' }, unknown: [1] }),
      lineOf({ numRecords: 1 }, { baseRowId: 7, defaultRowCommitVersion: 2, tags: null, clusteringProvider: null }),
      lineOf({ numRecords: 1 }, { size: -1 }),
      lineOf({ numRecords: 1 }, { size: 2 ** 60 }),
      lineOf({ numRecords: 1 }, { partitionValues: { p: 1 } }),
      lineOf({ numRecords: 1 }, { path: 'a%20b/ü' }),
      lineOf({ numRecords: 1 }, { path: '' }),
      lineOf({ numRecords: 1 }).replace('"size":1', '"size":1,"size":2'),
      `${lineOf({ numRecords: 1 })}\r`,
      `${lineOf({ numRecords: 1 })}}`,
      lineOf({ numRecords: 1 }).slice(0, -1),
      // Control characters do not occur in JSON, wherever they are.
      ...['path', 'stats', 'p'].map((place) =>
        lineOf({ numRecords: 1, minValues: { a: 'stats' } }, { path: 'path', partitionValues: { p: 'p' } }).replace(
          place === 'stats' ? '"stats\\"' : `"${place}"`,
          place === 'stats' ? '"st\u0001ats\\"' : `"${place}\u0001"`,
        ),
      ),
    ];
    const isBytes: boolean[] = [];
    for (const line of lines) isBytes.push(await expectSame(Buffer.from(line), schema));
    expect([...isBytes.keys()].filter((index) => isBytes[index])).toEqual([0, 7, 11]);
    // Bytes that are no UTF-8 become U+FFFD.
    const broken = Buffer.from(lineOf({ numRecords: 1, minValues: { a: '~~' } }));
    broken.set([0xff, 0xc3], broken.indexOf('~~'));
    expect(await expectSame(broken, schema)).toBe(true);
  });
});
