import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { UnityServer } from '../../connectors/unity/unity-server.ts';
import { ROOT, RunningStack } from '../stack/running-stack.ts';

/** Written by delta-rs 1.6.6. According to delta-rs and Spark, its versions 0 to 6 have this many files. */
export const FIXTURE = join(ROOT, 'test/fixtures/delta/rs_partitioned');
export const FILES = [4, 8, 8, 8, 10, 4, 4];

/** A stack, and a Unity Catalog server in a folder of its own. */
export class UnityStack implements AsyncDisposable {
  readonly stack: RunningStack;
  readonly folder: string;
  server!: UnityServer;

  private constructor(stack: RunningStack, folder: string) {
    this.stack = stack;
    this.folder = folder;
  }

  static async start(): Promise<UnityStack> {
    return new UnityStack(await RunningStack.start(), mkdtempSync(join(tmpdir(), 'reconciler-unity-')));
  }

  /** Starts another server, with the schema `s` in the catalog `main`. */
  async startServer(): Promise<UnityServer> {
    this.server = await UnityServer.start();
    this.server.schema('main', 's');
    return this.server;
  }

  /** Creates a connector of the catalog `main`. Its destination has its name. @returns its id */
  connect(name: string, properties: Record<string, string> = {}, more: object = {}): Promise<string> {
    const kind = 'CONNECTOR_KIND_UNITY';
    return this.stack.connect(name, '', {
      kind,
      uri: this.server.url,
      properties: { catalog: 'main', ...properties },
      ...more,
    });
  }

  /** The versions of a table that have not expired, oldest first, each with the number of data files in its plan. */
  async versions(name: string): Promise<[number, number][]> {
    const { catalog } = this.stack;
    const tableId = await this.stack.tableId(name);
    const { snapshots } = await catalog.snapshots.listSnapshots({ tableId, pageSize: 1000 });
    const found: [number, number][] = [];
    for (const { snapshotId } of snapshots) {
      let files = 0;
      for await (const part of catalog.plans.streamPlan({ tableId, snapshotId })) files += part.files.length;
      found.push([Number(snapshotId), files]);
    }
    return found.sort(([a], [b]) => a - b);
  }

  /** The job's failures, as `TABLE: CODE: MESSAGE`. */
  async failures({ jobId }: ReconcileJob): Promise<string[]> {
    const failures = await this.stack.failures(jobId);
    return failures.map(({ table, code, message }) => `${table}: ${code}: ${message}`);
  }

  /** What a command prints to stdout; it must succeed. */
  async cli(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.stack.cli(...args);
    if (code !== 0) throw new Error(`reconciler ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server?.[Symbol.asyncDispose]();
    await this.stack[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The fixture's versions up to this one, as `versions` returns them. */
export const fixtureVersions = (last: number): [number, number][] =>
  FILES.slice(0, last + 1).map((files, version) => [version, files]);
