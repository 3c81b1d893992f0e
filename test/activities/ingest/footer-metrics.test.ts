import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { withFooterMetrics } from '../../../src/activities/ingest/footer-metrics.ts';
import { CodedError } from '../../../src/errors.ts';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import type { ContentFile, TableReader } from '../../../src/formats/table-reader.ts';
import { boundText } from '../../../src/stats/bounds.ts';
import { leafColumns } from '../../../src/stats/leaf-columns.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { unpackColumns } from '../../formats/columns/unpack-columns.ts';

/** A table whose metadata has no column metrics, and Spark's counts for its files: test/generators/ndv_table.py. */
const MADE = join(import.meta.dirname, '../../fixtures/made/ndv');
const FOLDER = join(MADE, 'wh/db/no_metrics');
const TRUTH = JSON.parse(readFileSync(join(MADE, 'truth.json'), 'utf8')).no_metrics as Record<
  string,
  Record<string, { values: number; nulls: number; min: string | null; max: string | null }>
>;
const ON = { 'stats.footers.enabled': 'true' };

class WatchedStore extends FileStore {
  reads: string[] = [];
  fault: CodedError | undefined;

  override async read(path: string, options: { maxBytes: number; start?: number; end?: number }) {
    if (path.endsWith('.parquet')) {
      this.reads.push(path.split('/').at(-1) as string);
      if (this.fault) throw this.fault;
    }
    return super.read(path, options);
  }
}

async function open(properties: Record<string, string>, fault?: CodedError) {
  const store = new WatchedStore();
  const log: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void log.push(line) });
  const newest = readdirSync(join(FOLDER, 'metadata')).find((name) => name.endsWith('.metadata.json'))!;
  const metadataLocation = join(FOLDER, 'metadata', newest);
  const reader = await openIcebergTable({ store, metadataLocation, fingerprint: '', folder: FOLDER });
  store.fault = fault;
  return { store, log, reader: withFooterMetrics(reader, properties, logger) };
}

async function addedFiles(reader: TableReader, columnIds?: Set<number>): Promise<ContentFile[]> {
  const files: ContentFile[] = [];
  for await (const { changes } of reader.fileChanges(reader.descriptor.currentSnapshotId!, { columnIds })) {
    for (const change of changes) if (change.kind === 'added') files.push(change.file);
  }
  return files;
}

describe('files without column metrics', () => {
  it('get metrics from their footers, as Spark counts them, with field ids or by the name mapping', async () => {
    const { reader, store } = await open(ON);
    const schema = reader.descriptor.schemas.find(({ id }) => id === reader.descriptor.currentSchemaId)!;
    const types = new Map(leafColumns(schema.json).map(({ id, type }) => [id, type]));
    const files = await addedFiles(reader);
    expect(files.map(({ path }) => path.split('/').at(-1)!).sort()).toEqual(Object.keys(TRUTH).sort());
    for (const file of files) {
      const truth = TRUTH[file.path.split('/').at(-1)!]!;
      const columns = unpackColumns(file.columns);
      expect(columns.map(({ id }) => String(id))).toEqual(Object.keys(truth));
      for (const { id, valueCount, nullCount, sizeInBytes, lower, upper } of columns) {
        const { values, nulls, min, max } = truth[id]!;
        const text = (bound: Uint8Array | undefined) =>
          bound && plainText(types.get(id)!, boundText(types.get(id)!, bound)!);
        expect([id, valueCount, nullCount, text(lower), text(upper)]).toEqual([id, values, nulls, min, max]);
        expect(sizeInBytes).toBeGreaterThan(0);
      }
    }
    // Each footer is read once.
    expect(store.reads.sort()).toEqual(Object.keys(TRUTH).sort());
  });

  it('stay without metrics if the connector does not ask for any: no data file is read', async () => {
    const { reader, store } = await open({});
    expect((await addedFiles(reader)).map(({ columns }) => columns.length)).toEqual([0, 0]);
    expect(store.reads).toEqual([]);
  });

  it('get metrics of the selected columns only', async () => {
    const { reader } = await open(ON);
    const ids = (await addedFiles(reader, new Set([1, 4]))).map(({ columns }) =>
      unpackColumns(columns).map(({ id }) => id),
    );
    expect(ids).toEqual([
      [1, 4],
      [1, 4],
    ]);
  });

  it.each([
    // The table was moved: its files are looked up at the old location, too.
    ['NOT_FOUND', 4],
    ['DATA_LOSS', 2],
  ] as const)('stay without metrics if the file is %s, with one warning', async (code, reads) => {
    const { reader, store, log } = await open(ON, new CodedError(code, 'it is gone'));
    expect((await addedFiles(reader)).map(({ columns }) => columns.length)).toEqual([0, 0]);
    expect([store.reads.length, log.length]).toEqual([reads, 1]);
    expect(log[0]).toContain('it is gone');
  });

  it.each(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED', 'RESOURCE_EXHAUSTED', 'UNAUTHENTICATED'] as const)(
    'are retried if storage is %s',
    async (code) => {
      const { reader } = await open(ON, new CodedError(code, 'storage is away'));
      await expect(addedFiles(reader)).rejects.toMatchObject({ code });
    },
  );
});

/** The value in Spark's notation. */
function plainText(type: string, text: string): string {
  if (type === 'binary') return Buffer.from(text, 'base64').toString('hex').toUpperCase();
  if (type === 'timestamptz') return text.replace('+00:00', '');
  if (type === 'float' || type === 'double') return text.replace(/^-0\.0$/, '0.0');
  return text;
}
