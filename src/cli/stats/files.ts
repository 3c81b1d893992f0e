import { type Command, Option } from 'commander';
import { type DataFile, FileContent } from '../../generated/reconciler/v1/statistics.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { bytes, count, NONE, word } from '../io/format.ts';
import { columnsOption, snapshotOption } from '../io/options.ts';
import { partitionText, ReadableFile, type ReadablePartition, readablePartitions } from './partitions.ts';

const HELP = `
--json also contains the statistics of every column of a file. The files are
streamed, so their number is not limited.

Examples:
  $ reconciler stats files main.sales.orders
  $ reconciler stats files main.sales.orders --content data --snapshot 42 \\
      --json | jq -r .filePath`;

const CONTENTS: Record<string, FileContent> = {
  data: FileContent.FILE_CONTENT_DATA,
  'position-deletes': FileContent.FILE_CONTENT_POSITION_DELETES,
  'equality-deletes': FileContent.FILE_CONTENT_EQUALITY_DELETES,
};

export function addFiles(group: Command): void {
  group
    .command('files')
    .description('Lists the live files of one snapshot, each with its statistics.')
    .argument('<table>', 'catalog.namespace.table')
    .addOption(snapshotOption())
    .addOption(columnsOption())
    .addOption(new Option('--content <content>', 'only files with this content').choices(Object.keys(CONTENTS)))
    .addHelpText('after', HELP)
    .action(
      withCatalog(
        async (
          { clients, out },
          table: string,
          options: { snapshot?: bigint; columns?: string[]; content?: string },
        ) => {
          const tableId = await tableIdOf(clients, table);
          const readable = await readablePartitions(clients, tableId);
          const stream = clients.statistics.streamFileColumnStats({
            tableId,
            snapshotId: options.snapshot,
            columns: options.columns,
            fileContent: options.content === undefined ? undefined : CONTENTS[options.content],
          });
          await out.list(ReadableFile, filesOf(stream, readable), COLUMNS, { empty: 'no live files' });
        },
      ),
    );
}

async function* filesOf(
  stream: AsyncIterable<{ files: DataFile[] }>,
  readable: ReadablePartition,
): AsyncGenerator<ReadableFile[]> {
  for await (const { files } of stream) yield files.map((file) => ({ ...file, partition: readable(file) }));
}

export function contentText(file: DataFile): string {
  return file.contentOffset === undefined ? word(file.fileContent, 'FILE_CONTENT_') : 'deletion vector';
}

const COLUMNS = [
  { title: 'FILE', value: (f: DataFile) => f.filePath, min: 24 },
  { title: 'CONTENT', value: contentText, weight: 7 },
  { title: 'FORMAT', value: (f: DataFile) => word(f.fileFormat, 'FILE_FORMAT_'), weight: 4 },
  { title: 'RECORDS', value: (f: DataFile) => count(f.recordCount), weight: 9, align: 'right' as const },
  {
    title: 'SIZE',
    value: (f: DataFile) => bytes(f.contentSizeInBytes ?? f.fileSizeInBytes),
    weight: 8,
    align: 'right' as const,
  },
  { title: 'SEQ', value: (f: DataFile) => f.sequenceNumber?.toString() ?? NONE, weight: 5, align: 'right' as const },
  { title: 'PARTITION', value: (f: ReadableFile) => partitionText(f.partition), below: true },
];
