import { type Command, Option } from 'commander';
import type { PlanFile } from '../../generated/reconciler/v1/plans.ts';
import { DataFile } from '../../generated/reconciler/v1/statistics.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { bytes, count, NONE } from '../io/format.ts';
import { columnsOption, snapshotOption, time } from '../io/options.ts';
import type { Column } from '../io/table-printer.ts';
import { partitionText, ReadableFile, type ReadablePartition, readablePartitions } from '../stats/partitions.ts';

const HELP = `
With --json, each line is one data file with its delete files in
'deleteFiles'. The files are streamed, so their number is not limited.

Examples:
  $ reconciler plan get main.sales.orders
  $ reconciler plan get main.sales.orders --as-of 2026-07-01T12:00:00Z
  $ reconciler plan get main.sales.orders --snapshot 42 --json \\
      | jq -r .filePath`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Lists the data files to read for one snapshot, each with the delete files that apply to it.')
    .argument('<table>', 'catalog.namespace.table')
    .addOption(snapshotOption().conflicts('asOf'))
    .addOption(new Option('--as-of <time>', 'the snapshot that was current at this time').argParser(time))
    .addOption(columnsOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(
        async ({ clients, out }, table: string, options: { snapshot?: bigint; asOf?: Date; columns?: string[] }) => {
          const tableId = await tableIdOf(clients, table);
          const readable = await readablePartitions(clients, tableId);
          const stream = clients.plans.streamPlan({
            tableId,
            snapshotId: options.snapshot,
            asOf: options.asOf,
            columns: options.columns,
          });
          await out.list(FlatPlanFile, flat(stream, readable), PLAN_COLUMNS, { empty: 'no files to read' });
        },
      ),
    );
}

/** A data file of a plan with its delete files: one line of JSON. */
type FlatPlanFile = ReadableFile & { deleteFiles: ReadableFile[] };

const FlatPlanFile = {
  toJSON: ({ deleteFiles, ...file }: FlatPlanFile) => ({
    ...ReadableFile.toJSON(file),
    deleteFiles: deleteFiles.map((deletes) => ReadableFile.toJSON(deletes)),
  }),
};

async function* flat(
  stream: AsyncIterable<{ files: PlanFile[] }>,
  readable: ReadablePartition,
): AsyncGenerator<FlatPlanFile[]> {
  const read = (file: DataFile): ReadableFile => ({ ...file, partition: readable(file) });
  for await (const { files } of stream) {
    yield files.map(({ file, deleteFiles }) => ({
      ...read(file ?? DataFile.create()),
      deleteFiles: deleteFiles.map(read),
    }));
  }
}

export const PLAN_COLUMNS: Column<FlatPlanFile>[] = [
  { title: 'FILE', value: (f) => f.filePath, min: 24 },
  { title: 'RECORDS', value: (f) => count(f.recordCount), weight: 9, align: 'right' },
  { title: 'SIZE', value: (f) => bytes(f.fileSizeInBytes), weight: 8, align: 'right' },
  {
    title: 'DELETES',
    value: (f) => (f.deleteFiles.length > 0 ? count(f.deleteFiles.length) : NONE),
    weight: 7,
    align: 'right',
  },
  { title: 'PARTITION', value: (f) => partitionText(f.partition), below: true },
];
