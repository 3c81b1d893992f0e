/**
 * What TLS and tokens cost: `npm run bench:secure`, or `-- --quick`.
 *
 * Two catalogs, as processes with databases on disk, are sent the same: one without TLS and authentication, one with both. The rounds alternate,
 * since the speed of a machine changes. There is no worker, so that nothing but the catalog and its client limits the rate: with one, the
 * difference is smaller. The report goes to stderr, its numbers as JSON to stdout.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { type CatalogClients, connectCatalog } from '../src/catalog-client/connect.ts';
import { encodeCommitRequest } from '../src/catalog-client/raw-commit-snapshot.ts';
import { CommitSnapshotRequest } from '../src/generated/reconciler/internal/v1/ingestion.ts';
import { FileChangeKind, FileContent, FileFormat } from '../src/generated/reconciler/v1/statistics.ts';
import { TableFormat } from '../src/generated/reconciler/v1/tables.ts';
import { makeCertificate } from '../test/catalog/auth/certificates.ts';

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '100000' },
    calls: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '7' },
    /** Small sizes, to try the benchmark itself. */
    quick: { type: 'boolean', default: false },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

/** File changes per message, and calls that are made at the same time. */
const CHUNK = 1_000;
const PARALLEL = 16;
const BIN = join(import.meta.dirname, '..', 'bin', 'reconciler.js');

class BenchCatalog implements AsyncDisposable {
  readonly clients: CatalogClients;
  readonly #process: ChildProcess;
  #tables = 0;

  private constructor(process: ChildProcess, clients: CatalogClients) {
    this.#process = process;
    this.clients = clients;
  }

  static async start(directory: string, secure: boolean): Promise<BenchCatalog> {
    mkdirSync(directory);
    const env: NodeJS.ProcessEnv = { ...process.env, RECONCILER_DATA_DIR: directory };
    const certificate = secure ? makeCertificate(directory, 'catalog') : undefined;
    if (certificate) {
      Object.assign(env, { RECONCILER_TLS_CERT: certificate.files.cert, RECONCILER_TLS_KEY: certificate.files.key });
    }
    const args = ['catalog', '--address', '127.0.0.1:0', ...(secure ? [] : ['--insecure-no-auth'])];
    const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8');
    const address = await addressOf(child);
    const access = certificate && {
      tls: { ca: certificate.cert },
      token: async () => readFileSync(join(directory, 'token'), 'utf8').trim(),
    };
    return new BenchCatalog(child, connectCatalog(address, access));
  }

  /** Files that are stored per second, of one table with one snapshot. */
  async filesPerSecond(messages: readonly Uint8Array[], files: number): Promise<number> {
    const { catalogs, namespaces, tables, fileChanges } = this.clients;
    const displayName = `c${++this.#tables}`;
    const { catalogId } = await catalogs.createCatalog({ catalog: { displayName } });
    const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['n'] } });
    const table = { namespaceId, name: 't', format: TableFormat.TABLE_FORMAT_ICEBERG };
    const { tableId } = await tables.createTable({ table });
    const start = performance.now();
    const snapshot = { tableId, snapshotId: 1n };
    const header = { $case: 'header' as const, value: { ...snapshot, idempotencyKey: 'k', snapshot } };
    async function* requests() {
      yield CommitSnapshotRequest.encode(CommitSnapshotRequest.fromPartial({ request: header })).finish();
      yield* messages;
      const finish = {
        expectedDataFileCount: BigInt(files),
        expectedDeleteFileCount: 0n,
        groups: [],
        updateTable: undefined,
      };
      yield encodeCommitRequest({ $case: 'finish', value: finish });
    }
    const { complete } = await fileChanges.commitSnapshot(requests());
    if (!complete) throw new Error('the snapshot is not complete');
    return files / ((performance.now() - start) / 1000);
  }

  /** Small calls that are answered per second. */
  async callsPerSecond(calls: number): Promise<number> {
    const start = performance.now();
    let left = calls;
    const caller = async () => {
      while (left-- > 0) await this.clients.catalogs.listCatalogs({ pageSize: 1 });
    };
    await Promise.all(Array.from({ length: PARALLEL }, caller));
    return calls / ((performance.now() - start) / 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clients.close();
    this.#process.kill('SIGTERM');
    await once(this.#process, 'exit');
  }
}

/** Waits for the line in the log that contains the port. */
async function addressOf(child: ChildProcess): Promise<string> {
  const seen: string[] = [];
  for (const stream of [child.stderr!, child.stdout!]) {
    const lines = createInterface({ input: stream });
    lines.on('line', (line) => seen.push(line));
  }
  for (let tries = 0; tries < 300; tries++) {
    const found = /"address":"(127\.0\.0\.1:\d+)".*is listening/.exec(seen.join('\n'));
    if (found?.[1]) return found[1];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the catalog did not start: ${seen.join('\n')}`);
}

function messagesOf(files: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(files / CHUNK) }, (_, message) => {
    const changes = Array.from({ length: Math.min(CHUNK, files - message * CHUNK) }, (_, n) => ({
      kind: FileChangeKind.FILE_CHANGE_KIND_ADDED,
      sequenceNumber: 1n,
      fileSequenceNumber: 1n,
      file: {
        filePath: `s3://warehouse/namespace/table/data/${String(message * CHUNK + n).padStart(12, '0')}-0-0001.parquet`,
        fileContent: FileContent.FILE_CONTENT_DATA,
        fileFormat: FileFormat.FILE_FORMAT_PARQUET,
        recordCount: 1_000n,
        fileSizeInBytes: 1_000_000n,
        columns: Array.from({ length: 10 }, (_, column) => ({
          columnId: column + 1,
          valueCount: 1_000n,
          nullCount: 0n,
          lowerBound: Buffer.alloc(8, column),
          upperBound: Buffer.alloc(8, column + 1),
        })),
      },
    }));
    const request = { $case: 'changes' as const, value: { changes } };
    return CommitSnapshotRequest.encode(CommitSnapshotRequest.fromPartial({ request })).finish();
  });
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

mkdirSync(options.cache, { recursive: true });
const directory = mkdtempSync(join(options.cache, 'secure-'));
try {
  const [files, calls, rounds] = options.quick
    ? [10_000, 2_000, 3]
    : [Number(options.files), Number(options.calls), Number(options.rounds)];
  const messages = messagesOf(files);
  await using plain = await BenchCatalog.start(join(directory, 'plain'), false);
  await using secure = await BenchCatalog.start(join(directory, 'secure'), true);
  const measured = { plain: { files: [0], calls: [0] }, secure: { files: [0], calls: [0] } };
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, catalog] of [['plain', plain] as const, ['secure', secure] as const]) {
      measured[name].files[round] = await catalog.filesPerSecond(messages, files);
      measured[name].calls[round] = await catalog.callsPerSecond(calls);
    }
  }
  const of = (what: 'files' | 'calls') => {
    const [without, withBoth] = [median(measured.plain[what].slice(1)), median(measured.secure[what].slice(1))];
    return {
      plain: Math.round(without),
      secure: Math.round(withBoth),
      ratio: Math.round((withBoth / without) * 1000) / 1000,
    };
  };
  const result = { files, rounds, filesPerSecond: of('files'), callsPerSecond: of('calls') };
  console.error(
    `files per second: ${result.filesPerSecond.plain} without, ${result.filesPerSecond.secure} with TLS and tokens: ${result.filesPerSecond.ratio} (target: >= 0.8)\n` +
      `calls per second: ${result.callsPerSecond.plain} without, ${result.callsPerSecond.secure} with TLS and tokens: ${result.callsPerSecond.ratio}`,
  );
  console.log(JSON.stringify(result));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
