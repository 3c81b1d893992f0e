import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { TableCursor } from '../../../../src/contract/activities.ts';
import { ConnectorKind } from '../../../../src/generated/reconciler/v1/connectors.ts';
import { add, metadata, remove } from '../../../formats/delta/memory-table.ts';
import { FolderTables } from '../folder-tables.ts';
import { DeltaVersions } from './delta-versions.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const schemaString = JSON.stringify({
  type: 'struct',
  fields: ['g', 'h'].map((name) => ({ name, type: 'string', nullable: true, metadata: {} })),
});
const by = (...partitionColumns: string[]) => metadata({ schemaString, partitionColumns });
const file = (path: string, partitionValues: object) => add(path, { partitionValues });

/** Replaced three times, always with the same columns. */
function writeReplaced(warehouse: string): DeltaVersions {
  return new DeltaVersions(warehouse)
    .put(0, by(), file('a', {}))
    .put(1, remove('a'), by('g'), file('b', { g: 'x' }))
    .put(2, remove('b'), by('h'), file('c', { h: 'y' }))
    .put(3, remove('c'), by(), file('d', {}));
}

const names = (fields: readonly { name: string }[]) => fields.map(({ name }) => name).join();

it.each([
  ['in one slice', 60],
  ['with a slice per version', 0],
])(
  'the partition specs in the middle of a history are those of the table, if it is read %s',
  async (_, sliceSeconds) => {
    const warehouse = tables.warehouse();
    const log = writeReplaced(warehouse);
    const { ingest, plan, tableOf } = await tables.connect(
      warehouse,
      { kind: ConnectorKind.CONNECTOR_KIND_DELTA },
      'DELTA',
    );
    for (let cursor: TableCursor | undefined = {}; cursor; )
      ({ cursor } = await ingest(false, { cursor, sliceSeconds }));
    const specs = async () => {
      const table = await tableOf();
      return Object.fromEntries(table.partitionSpecs.map(({ specId, fields }) => [specId, names(fields)]));
    };
    const known = await specs();
    expect(Object.values(known).sort()).toEqual(['', 'g', 'h']);
    const written = async (version: bigint) => {
      const [{ file } = {}] = await plan(version);
      return file && [known[file.specId], names(file.partition), file.partition[0]?.text];
    };
    expect(await written(1n)).toEqual(['g', 'g', 'x']);
    expect(await written(2n)).toEqual(['h', 'h', 'y']);
    expect(await written(3n)).toEqual(['', '', undefined]);

    // A later spec has another id.
    log.put(4, remove('d'), by('h', 'g'), file('e', { g: 'x', h: 'y' }));
    await ingest();
    expect(await specs()).toEqual({ ...known, 3: 'h,g' });
    expect((await tableOf()).defaultSpecId).toBe(3);
  },
);
