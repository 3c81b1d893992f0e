import { type Command, Option } from 'commander';
import type { PlanFile } from '../../generated/reconciler/v1/plans.ts';
import { DataFile } from '../../generated/reconciler/v1/statistics.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { bytes, count, NONE } from '../io/format.ts';
import { columnsOption, snapshotOption, time } from '../io/options.ts';
import { partitionText } from '../stats/files.ts';

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
          const stream = clients.plans.streamPlan({
            tableId: await tableIdOf(clients, table),
            snapshotId: options.snapshot,
            asOf: options.asOf,
            columns: options.columns,
          });
          await out.list(FlatPlanFile, flat(stream), COLUMNS, { empty: 'no files to read' });
        },
      ),
    );
}

/** A data file of a plan with its delete files: one line of JSON. */
type FlatPlanFile = DataFile & { deleteFiles: DataFile[] };

const FlatPlanFile = {
  toJSON: ({ deleteFiles, ...file }: FlatPlanFile) => ({
    ...(DataFile.toJSON(file) as object),
    deleteFiles: deleteFiles.map((deletes) => DataFile.toJSON(deletes)),
  }),
};

async function* flat(stream: AsyncIterable<{ files: PlanFile[] }>): AsyncGenerator<FlatPlanFile[]> {
  for await (const { files } of stream) {
    yield files.map(({ file, deleteFiles }) => ({ ...(file ?? DataFile.create()), deleteFiles }));
  }
}

const COLUMNS = [
  { title: 'FILE', value: (f: FlatPlanFile) => f.filePath, min: 24 },
  { title: 'RECORDS', value: (f: FlatPlanFile) => count(f.recordCount), weight: 9, align: 'right' as const },
  { title: 'SIZE', value: (f: FlatPlanFile) => bytes(f.fileSizeInBytes), weight: 8, align: 'right' as const },
  {
    title: 'DELETES',
    value: (f: FlatPlanFile) => (f.deleteFiles.length > 0 ? count(f.deleteFiles.length) : NONE),
    weight: 7,
    align: 'right' as const,
  },
  { title: 'PARTITION', value: partitionText, weight: 6, min: 16 },
];
