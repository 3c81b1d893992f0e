import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { differences } from '../../integration/contents/compare-truth.ts';
import { readTruth, type Truth } from '../../integration/contents/truth.ts';
import { RunningStack } from '../../integration/stack/running-stack.ts';
import { type Moto, startMoto } from '../servers/moto.ts';
import { runPython } from '../servers/python.ts';
import { type GlueProxy, startGlueProxy } from './glue-proxy.ts';

const SCRIPT = fileURLToPath(new URL('glue-tables.py', import.meta.url));
const TABLES = ['ops.evolved', 'ops.without_snapshot', 'sales.flat', 'sales.items', 'sales.orders'];

/** pyiceberg writes tables to Glue and S3, the operator types commands, and pyiceberg reports what the tables contain. */
describe('an operator with AWS Glue', () => {
  let moto: Moto;
  let glue: GlueProxy;
  let stack: RunningStack;
  let first: { tables: Map<string, Truth>; snapshots: number; files: number };

  beforeAll(async () => {
    moto = await startMoto();
    glue = await startGlueProxy(moto.url);
    await runPython(SCRIPT, [moto.url, 'make'], { env: moto.env });
    const { AWS_ENDPOINT_URL: _, ...credentials } = moto.env;
    // The worker has AWS's own settings; the connector sets the endpoints.
    stack = await RunningStack.start(credentials);
  });
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    await glue?.[Symbol.asyncDispose]();
    await moto?.stop();
  });

  afterEach(() => {
    glue.fault = undefined;
  });

  const type = async (line: string) => {
    const ran = await stack.cli(...line.split(' '));
    expect([line, ran.code, ran.stderr]).toEqual([line, 0, expect.any(String)]);
    return ran;
  };
  /** Triggers a run, waits for it as an operator would, and returns the job that the CLI prints. */
  const reconcile = async (options = '') => {
    glue.forget();
    const jobId = (await type(`connector trigger demo-glue${options}`)).stdout.trim();
    await stack.ended(jobId);
    return JSON.parse((await type(`job get ${jobId} --json`)).stdout);
  };
  const truth = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-glue-'));
    try {
      await runPython(SCRIPT, [moto.url, 'truth', folder], { env: moto.env });
      return readTruth(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const sameAsTruth = async (tables: Map<string, Truth>) => {
    expect([...tables.keys()]).toEqual(TABLES);
    for (const [name, truth] of tables) {
      expect([name, await differences(stack.catalog, await stack.tableId(`demo.${name}`), truth)]).toEqual([name, []]);
    }
  };
  const sizes = (tables: Map<string, Truth>) => {
    const all = [...tables.values()];
    return {
      tables,
      snapshots: all.reduce((n, { snapshots }) => n + snapshots.length, 0),
      files: all.reduce((n, { files }) => n + Object.keys(files).length, 0),
    };
  };
  const options = () =>
    `--kind glue --uri ${glue.url} --property s3.endpoint=${moto.url} --property glue.formats=iceberg`;

  it('validates the connector and sees what Glue contains', async () => {
    const { stdout } = await type(`connector validate ${options()}`);
    expect(stdout).toContain(
      `ok: 5 Iceberg tables in 2 namespaces found in ${glue.url}, 5 tables of kinds that are not read. Table sales.`,
    );
    expect(stdout).toMatch(/ can be read: its metadata, and the manifest list s3:.*\.avro\.\n/);
    expect(stdout).toContain('  sales.orders\n');
    const misspelled = await stack.cli(...`connector validate ${options()} --source-namespace sale`.split(' '));
    expect([misspelled.code, misspelled.stdout]).toEqual([
      1,
      'wrong: Namespace sale does not exist: the upstream has sales, ops, empty.\n',
    ]);
  });

  const validate = async (more: string) => (await stack.cli(...`connector validate ${more}`.split(' '))).stdout;

  it('sees that the address, the secret or the storage is wrong', async () => {
    expect(await validate('--kind glue --uri http://127.0.0.1:1')).toMatch(
      /^wrong: The address does not respond: .*127\.0\.0\.1:1/,
    );
    expect(await validate(`${options()} --secret-ref env:NOT_SET_ANYWHERE`)).toMatch(/^wrong: .*NOT_SET_ANYWHERE/);
    expect(await validate(`--kind glue --uri ${glue.url} --property s3.endpoint=http://127.0.0.1:1`)).toMatch(
      /^wrong: 5 Iceberg and 2 Delta tables .* none that was tried can be read\. The address does not respond: .*127\.0\.0\.1:1/,
    );
  });

  it('sees that a permission is missing, or that the credentials are rejected', async () => {
    const denied = 'User: arn:aws:iam::123456789012:user/etl is not authorized to perform: glue:GetDatabases';
    glue.fault = () => ({ exception: 'AccessDeniedException', message: denied });
    expect(await validate(options())).toMatch(
      /^wrong: A permission is missing: glue:GetDatabases .*user\/etl is not authorized/,
    );
    glue.fault = () => ({ exception: 'UnrecognizedClientException', message: 'The security token is invalid.' });
    expect(await validate(options())).toMatch(/^wrong: The credentials are rejected: .*UnrecognizedClientException/);
  });

  it('creates and reconciles the connector, and everything matches what pyiceberg reports', async () => {
    await type(`connector create demo-glue ${options()} --destination-catalog demo`);
    const job = await reconcile(' --full');
    first = sizes(await truth());
    expect(job).toMatchObject({
      state: 'JS_SUCCEEDED',
      connectorName: 'demo-glue',
      full: true,
      errors: '0',
      tablesScanned: '5',
      tablesChanged: '5',
      snapshotsIngested: String(first.snapshots),
    });
    await sameAsTruth(first.tables);
  });

  it('reconciles it again without changes, at the cost of the listing alone', async () => {
    const job = await reconcile();
    expect(job).toMatchObject({
      state: 'JS_SUCCEEDED',
      tablesScanned: '5',
      tablesChanged: '0',
      tablesUnchanged: '5',
      snapshotsIngested: '0',
      filesIngested: '0',
      bytesRead: '0',
    });
    // One page of tables in each of the three databases. No single table is requested, and no file is read.
    expect(glue.calls()).toMatchObject({ GetDatabases: 1, GetTables: 3 });
    const calls = Object.values(glue.calls()).reduce((sum = 0, n = 0) => sum + n, 0);
    expect(job.upstreamRequests).toBe(String(calls));
    expect(glue.calls().GetTable).toBeUndefined();
  });

  it('requests nothing of databases that the patterns leave out', async () => {
    await type('connector update demo-glue --exclude-namespaces ops,empty');
    expect(await reconcile()).toMatchObject({ state: 'JS_SUCCEEDED', tablesUnchanged: '3', namespacesFiltered: '2' });
    expect(glue.calls()).toEqual({ GetDatabases: 1, GetTables: 1 });
    await type('connector update demo-glue --exclude-namespaces ');
  });

  it('ingests only what an append added', async () => {
    await runPython(SCRIPT, [moto.url, 'append'], { env: moto.env });
    const job = await reconcile();
    const now = sizes(await truth());
    expect(now.snapshots).toBe(first.snapshots + 1);
    expect(job).toMatchObject({
      state: 'JS_SUCCEEDED',
      tablesScanned: '5',
      tablesChanged: '1',
      tablesUnchanged: '4',
      snapshotsIngested: '1',
      filesIngested: String(now.files - first.files),
    });
    // The table is opened from the listing's metadata location, without a request for it.
    expect(glue.calls().GetTables).toBe(3);
    expect(glue.calls().GetTable).toBeUndefined();
    await sameAsTruth(now.tables);
  });

  it('finds nothing to repair in a full rescan', async () => {
    expect(await reconcile(' --full')).toMatchObject({
      state: 'JS_SUCCEEDED',
      tablesChanged: '0',
      errors: '0',
    });
    await sameAsTruth((await truth()) as Map<string, Truth>);
  });

  it('finds no secret in Temporal, the catalog or the output of commands', async () => {
    const secret = moto.access.secretAccessKey;
    let output = '';
    for await (const { workflowId } of stack.temporal.workflow.list()) {
      const history = await stack.temporal.workflow.getHandle(workflowId).fetchHistory();
      // Payloads are base64 in a history's JSON.
      output += JSON.stringify(history, (key, value) =>
        key === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value,
      );
    }
    // The address that was typed is found, so the search looks in the right place.
    expect([output.includes(glue.url), output.includes(secret)]).toEqual([true, false]);
    expect((await type('connector get demo-glue --json')).stdout).not.toContain(secret);
  });
});
