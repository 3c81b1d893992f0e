import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { type Harness, startHarness } from './harness.ts';

let cli: Harness;
beforeAll(async () => {
  cli = await startHarness();
});
afterAll(async () => cli[Symbol.asyncDispose]());

const create: Harness['create'] = (...args) => cli.create(...args);

describe('connector create', () => {
  it('stores all options and prints the connector', async () => {
    const { code, json } = await create(
      ...['lake', '--source-namespace', '"a.b".c', '--source-table', 'orders', '--source-columns', 'id,#3'],
      ...['--destination-namespace', 'x.y', '--destination-table', 'o', '--max-parallel', '4', '--interval', '15m'],
      ...[
        '--property',
        's3.region=eu',
        '--property',
        'rest.x=a=b',
        '--auth-scheme',
        'bearer',
        '--secret-ref',
        'env:TOKEN',
      ],
      ...['--description', 'the lake', '--json'],
    );
    expect(code).toBe(0);
    expect(json).toHaveLength(1);
    expect(json[0]).toMatchObject({
      displayName: 'lake',
      kind: 'CONNECTOR_KIND_ICEBERG',
      description: 'the lake',
      uri: 'file:///warehouse',
      source: { namespacePath: ['a.b', 'c'], table: 'orders', columns: ['id', '#3'] },
      destination: { catalogName: 'main', namespacePath: ['x', 'y'], tableName: 'o' },
      policy: { maxParallel: 4, interval: '900s', enabled: true },
      properties: { 's3.region': 'eu', 'rest.x': 'a=b' },
      auth: { scheme: 'AUTH_SCHEME_BEARER', secretRef: 'env:TOKEN' },
      state: 'CONNECTOR_STATE_ACTIVE',
      runningJobId: '',
    });
  });

  it('accepts patterns, and shows them', async () => {
    const { code, stdout } = await create(
      ...['patterned', '--include-namespaces', 'sales,"a,b".*', '--include-namespaces', 'eu?'],
      ...['--exclude-namespaces', 'tmp', '--include-tables', '**.orders_*', '--exclude-tables', '**.x'],
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^include namespaces +sales, "a,b"\.\*, eu\?$/m);
    expect(stdout).toMatch(/^exclude tables +\*\*\.x$/m);
    const cleared = await cli.run('connector', 'update', 'patterned', '--exclude-tables', '', '--json');
    expect(cleared.json[0].source).toMatchObject({ excludeTables: [], includeTables: ['**.orders_*'] });
    const wrong = await cli.run('connector', 'update', 'patterned', '--exclude-tables', 'a..b');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("error: --exclude-tables pattern 'a..b' is invalid at position 3");
    await cli.run('connector', 'delete', 'patterned');
  });

  it('sets, shows and removes a limit of requests per second', async () => {
    const made = await create('capped', '--max-requests-per-second', '2.5');
    expect(made.code).toBe(0);
    expect(made.stdout).toMatch(/^requests +at most 2\.5 per second$/m);
    const { json } = await cli.run('connector', 'update', 'capped', '--max-requests-per-second', '0', '--json');
    expect(json[0].policy).toMatchObject({ maxRequestsPerSecond: 0 });
    expect((await cli.run('connector', 'get', 'capped')).stdout).not.toContain('per second');
    await cli.run('connector', 'delete', 'capped');
  });

  it('sets the policy for missing tables, as a whole or one field at a time', async () => {
    const drop = ['--missing', 'drop', '--drop-after', '30d', '--missing-max-share', '0.5'];
    expect((await create('gone', ...drop)).stdout).toMatch(
      /^missing +drop after 30d, fail if more than a share of 0.5 is missing$/m,
    );
    const update = async (...options: string[]) =>
      (await cli.run('connector', 'update', 'gone', ...options, '--json')).json[0];
    expect(await update('--drop-after', '0')).toMatchObject({
      policy: { missing: { action: 'MISSING_ACTION_DROP', dropAfter: '0s', maxShare: 0.5 } },
    });
    expect(await update('--missing', 'keep')).toMatchObject({
      policy: { missing: { action: 'MISSING_ACTION_KEEP', maxShare: 0.5 } },
    });
    await cli.run('connector', 'delete', 'gone');
  });

  it('accepts snapshots and a capture mode, and shows them', async () => {
    const selected = ['--snapshots', 'latest:3', '--branches', 'main,"a b"', '--mode', 'metadata-only'];
    const { code, stdout } = await create('selected', ...selected);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^snapshots +latest:3 on main, "a b"$/m);
    expect(stdout).toMatch(/^mode +metadata-only$/m);
    const all = await cli.run('connector', 'update', 'selected', '--snapshots', 'all', '--json');
    expect(all.json[0].source.snapshots).toMatchObject({ kind: 'SNAPSHOT_SELECTION_KIND_ALL', branches: [] });
    expect(all.json[0].policy.mode).toBe('CAPTURE_MODE_METADATA_ONLY');
    expect((await cli.run('connector', 'update', 'selected', '--snapshots', 'newest')).code).toBe(2);
    expect((await cli.run('connector', 'update', 'selected', '--snapshots', 'latest:0')).code).toBe(2);
    await cli.run('connector', 'delete', 'selected');
  });

  it('prints the next command', async () => {
    const { code, stdout, stderr } = await create('next one');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^name +next one$/m);
    expect(stdout).toMatch(/^source +\*$/m);
    expect(stderr).toContain("reconciler connector trigger 'next one' --wait");
  });

  it('exits with 1 if the name exists', async () => {
    const { code, stdout, stderr } = await create('lake');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: .*lake/);
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .every((line) => !/^\s+at /.test(line)),
    ).toBe(true);
  });

  it.each([
    [['--kind', 'paimon'], /^error: --kind 'paimon' is not one of iceberg, delta, glue, unity$/m],
    [['--max-parallel', 'many'], /^error: --max-parallel 'many' is not a whole number of at least 1$/m],
    [
      ['--max-requests-per-second', '0.001'],
      /^error: --max-requests-per-second '0\.001' is not a number from 0\.01 to 100000/,
    ],
    [['--interval', '5 parsecs'], /^error: --interval '5 parsecs' is not a duration, for example 90s, 15m, 6h or 1d$/m],
    [['--missing', 'delete'], /^error: --missing 'delete' is not one of keep, mark, drop$/m],
    [['--missing-max-share', '30%'], /^error: --missing-max-share '30%' is not a share: give a number from 0 to 1/],
    [['--property', 'novalue'], /^error: --property is not key=value$/m],
    [
      ['--property', 'stats.ndv.enabeld=true'],
      /^error: --property 'stats\.ndv\.enabeld' is unknown: give one of stats\.footers\.enabled, stats\.ndv\.enabled,/m,
    ],
    [['--source-namespace', 'a..b'], /^error: --source-namespace 'a\.\.b' is invalid at position 3: an empty segment/],
    [['--uri', '/warehouse'], /^error: --uri '\/warehouse' is not a URI, for example file:\/\/\/warehouse$/m],
    [['--uri', 'user:hunter2@nowhere:x/'], /^error: --uri has the scheme 'user'/],
    [['--not-before', 'tomorrow'], /^error: --not-before 'tomorrow' is not a time in ISO 8601/],
    [['--unheard-of'], /unknown option '--unheard-of'/],
    [['--uri', 'file:///x', '--max-parallel', '1000'], /^error: --max-parallel 1000 is not between 0 and 64$/m],
  ])('refuses %j with 2', async (options, message) => {
    const { code, stdout, stderr } = await create('wrong', ...options);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });

  it('names the missing option', async () => {
    const { code, stderr } = await cli.run('connector', 'create', 'x', '--kind', 'iceberg');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: --destination-catalog is required$/m);
    const without = await cli.run('connector', 'create', 'x', '--kind', 'iceberg', '--destination-catalog', 'main');
    expect(without.code).toBe(2);
    expect(without.stderr).toMatch(/--uri is required for kind iceberg/);
    const unity = await cli.run('connector', 'create', 'x', '--kind', 'unity', '--destination-catalog', 'main');
    expect(unity.stderr).toMatch(/--uri is required for kind unity\n.*https:\/\/dbc-1234\.cloud\.databricks\.com/);
  });

  it('accepts Glue without a URI', async () => {
    const glue = ['--kind', 'glue', '--destination-catalog', 'main'];
    const { code, json } = await cli.run(
      ...['connector', 'create', 'demo-glue', ...glue, '--json'],
      ...[
        '--property',
        'glue.region=eu-west-1',
        '--secret-ref',
        'aws-secretsmanager:prod/glue#key',
        '--auth-scheme',
        'aws',
      ],
    );
    expect(code).toBe(0);
    expect(json[0]).toMatchObject({
      kind: 'CONNECTOR_KIND_GLUE',
      uri: '',
      properties: { 'glue.region': 'eu-west-1' },
      auth: { scheme: 'AUTH_SCHEME_AWS', secretRef: 'aws-secretsmanager:prod/glue#key' },
    });
    const region = await cli.run('connector', 'create', 'glue-eu', ...glue, '--uri', 'glue://eu-west-1');
    expect(region.stdout).toMatch(/^uri +glue:\/\/eu-west-1$/m);
    expect(region.stderr).toContain('connector trigger glue-eu');
    const refused = await cli.run('connector', 'create', 'x', ...glue, '--auth-scheme', 'bearer');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /^error: --auth-scheme bearer is not supported by this kind: give none, aws, sigv4, or leave it out$/m,
    );
    for (const name of ['demo-glue', 'glue-eu']) await cli.run('connector', 'delete', name);
  });

  it('creates a connector of Delta tables, which are in folders', async () => {
    const delta = ['--kind', 'delta', '--destination-catalog', 'main', '--uri'];
    const created = await cli.run('connector', 'create', 'deltas', ...delta, 's3://bucket/warehouse');
    expect([created.code, created.stderr]).toEqual([0, expect.stringContaining('connector trigger deltas')]);
    expect(created.stderr).not.toContain('warning');
    const refused = await cli.run('connector', 'create', 'x', ...delta, 'https://catalog.example.com');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/--uri has the scheme 'https', but/)]);
    await cli.run('connector', 'delete', 'deltas');
  });

  it.each([
    ['delta', 'file:///warehouse'],
    ['unity', 'https://host', '--property', 'catalog=main', '--auth-property', 'profile=lake'],
  ])('creates a connector of kind %s', async (kind, uri, ...more) => {
    const options = ['--kind', kind, '--uri', uri, '--destination-catalog', 'main', ...more];
    const { code, stderr } = await cli.run('connector', 'create', `a ${kind}`, ...options);
    expect(code).toBe(0);
    expect(stderr).toContain('connector trigger');
    await cli.run('connector', 'delete', `a ${kind}`);
  });

  it('refuses SigV4 for Unity Catalog', async () => {
    const options = [
      '--kind',
      'unity',
      '--uri',
      'https://host',
      '--destination-catalog',
      'main',
      '--auth-scheme',
      'sigv4',
    ];
    const { code, stderr } = await cli.run('connector', 'create', 'a unity', ...options);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: --auth-scheme sigv4 is not supported by this kind: give none, bearer, oauth2, or/m);
  });
});

describe('connector get, list, update, delete', () => {
  it('gets a connector by name or id', async () => {
    const [{ connectorId }] = (await cli.run('connector', 'get', 'lake', '--json')).json;
    expect((await cli.run('connector', 'get', connectorId, '--json')).json[0].displayName).toBe('lake');
    expect((await cli.run('connector', 'get', 'lake')).stdout).toMatch(/^source +"a\.b"\.c\.orders$/m);
    const absent = await cli.run('connector', 'get', 'absent');
    expect(absent.code).toBe(1);
    expect(absent.stderr).toMatch(/^error: .*absent/);
  });

  it('lists connectors as rows or as lines of JSON', async () => {
    const rows = (await cli.run('connector', 'list')).stdout.trimEnd().split('\n');
    expect(rows[0]).toMatch(/^NAME +KIND +STATE +SOURCE +DESTINATION +URI/);
    expect(rows[1]).toMatch(/^lake +iceberg +active +"a\.b"\.c\.orders +main\.x\.y\.o +file:\/\/\/warehouse/);
    expect(rows).toHaveLength(3);
    const { json } = await cli.run('connector', 'list', '--json', '--limit', '1');
    expect(json.map((c) => c.displayName)).toEqual(['lake']);
  });

  it('changes only the named fields', async () => {
    const { code, json } = await cli.run(
      'connector',
      'update',
      'lake',
      '--max-parallel',
      '16',
      '--source-columns',
      '',
      '--json',
    );
    expect(code).toBe(0);
    expect(json[0]).toMatchObject({
      source: { namespacePath: ['a.b', 'c'], table: 'orders', columns: [] },
      policy: { maxParallel: 16, interval: '900s' },
      uri: 'file:///warehouse',
    });
  });

  it('pauses and renames', async () => {
    const { json } = await cli.run('connector', 'update', 'next one', '--state', 'paused', '--name', 'other', '--json');
    expect(json[0]).toMatchObject({ displayName: 'other', state: 'CONNECTOR_STATE_PAUSED' });
  });

  it('refuses an empty update, a wrong state and an old etag', async () => {
    expect((await cli.run('connector', 'update', 'lake')).code).toBe(2);
    expect((await cli.run('connector', 'update', 'lake', '--state', 'gone')).code).toBe(2);
    const stale = await cli.run('connector', 'update', 'lake', '--description', 'x', '--etag', 'stale');
    expect(stale.code).toBe(1);
    expect(stale.stderr).toContain('hint: someone else changed it in the meantime');
  });

  it('deletes a connector', async () => {
    expect((await cli.run('connector', 'delete', 'other')).stdout).toBe('deleted other\n');
    expect((await cli.run('connector', 'delete', 'other')).code).toBe(1);
  });

  it('deletes what it ingested only with --contents and --yes', async () => {
    const { json } = await create('full', '--json');
    const [{ connectorId }] = json;
    const { catalogId } = await cli.clients.catalogs.createCatalog({ catalog: { displayName: 'of full' } });
    const { namespaceId } = await cli.clients.namespaces.createNamespace({ namespace: { catalogId, path: ['n'] } });
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    const upstream = { namespacePath: ['n'], name: 't' };
    const table = { connectorId, namespaceId, upstream, name: 't', format, location: 's3://b/t' };
    await cli.clients.bindings.ensureTable(table);
    for (const name of ['a', 'b', 'c', 'd e'])
      await cli.clients.bindings.ensureTable({ ...table, name, upstream: { ...upstream, name } });
    const refused = await cli.run('connector', 'delete', 'full', '--contents');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toBe(
      `error: this would delete 'full' and 5 tables with 0 snapshots, and 0 views
  "of full".n  5 tables (a, b, c, …)
hint: add --yes to delete all of it; without --contents, tables and views stay
`,
    );
    expect((await cli.run('connector', 'get', 'full')).code).toBe(0);
    const done = await cli.run('connector', 'delete', 'full', '--contents', '--yes');
    expect(done.stdout).toBe('deleted full and 5 tables with 0 snapshots, and 0 views\n');
  });
});

describe('connector validate', () => {
  it('tests a stored connector', async () => {
    const { code, stdout } = await cli.run('connector', 'validate', 'lake');
    expect(code).toBe(0);
    expect(stdout).toBe('ok: 2 tables in 1 namespace\n  sales.orders\n  sales.items\n');
  });

  it('tests a connector that is not stored, and exits with 1 if it is wrong', async () => {
    cli.jobs.validation = { ok: false, summary: '/absent is not there', sampleTables: [] };
    const { code, json } = await cli.run(
      'connector',
      'validate',
      '--kind',
      'iceberg',
      '--uri',
      'file:///absent',
      '--json',
    );
    expect(code).toBe(1);
    expect(json).toEqual([{ ok: false, summary: '/absent is not there', sampleTables: [] }]);
    expect(cli.jobs.validated.at(-1)).toEqual({ draftId: expect.stringMatching(/^draft_[\w-]{32}$/) });
  });

  it('requires either a name or options', async () => {
    expect((await cli.run('connector', 'validate')).code).toBe(2);
    expect((await cli.run('connector', 'validate', 'lake', '--uri', 'file:///x')).code).toBe(2);
  });
});

describe('connector pause and resume', () => {
  it('set the state, and name the job that pauses', async () => {
    await create('resting');
    const paused = await cli.run('connector', 'pause', 'resting');
    expect([paused.code, paused.stderr]).toEqual([0, '']);
    expect(paused.stdout).toMatch(/state +paused/);
    const refused = await cli.run('connector', 'trigger', 'resting');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('resume it with reconciler connector resume resting');
    const { json } = await cli.run('connector', 'resume', 'resting', '--json');
    expect(json).toMatchObject([{ displayName: 'resting', state: 'CONNECTOR_STATE_ACTIVE' }]);

    const { connectorId } = json[0] as { connectorId: string };
    await cli.clients.reconciliation.claimConnector({ connectorId, job: { jobId: 'job-7' }, runId: 'run-7' });
    expect((await cli.run('connector', 'pause', 'resting')).stderr).toContain('reconciler job watch job-7');
    expect((await cli.run('connector', 'resume', 'resting')).stderr).toContain('job job-7 continues');
  });
});

describe('connector trigger', () => {
  beforeEach(() => {
    cli.jobs.outcome = { state: JobState.JS_SUCCEEDED, message: 'all went well' };
  });

  it('prints the id of the job', async () => {
    const { code, stdout, stderr } = await cli.run('connector', 'trigger', 'lake');
    expect(code).toBe(0);
    expect(stdout.trim()).toBe(cli.jobs.started.at(-1)?.jobId);
    expect(stderr).toContain('reconciler job watch');
    await cli.run('job', 'watch', stdout.trim());
  });

  it('passes on mode and scope', async () => {
    const scope = ['--full', '--namespace', 'a,"b,c".d', '--table', 't', '--columns', 'x,y.z', '--allow-missing'];
    await cli.run('connector', 'trigger', 'lake', '--wait', ...scope);
    expect(cli.jobs.started.at(-1)?.request).toMatchObject({
      full: true,
      allowMissing: true,
      scope: { namespaces: ['a', '"b,c".d'], table: 't', columns: ['x', 'y.z'] },
    });
  });

  it('passes on snapshots and capture mode', async () => {
    const capture = ['--snapshots', '7,9223372036854775807', '--branches', 'main,"a b"', '--mode', 'capture-only'];
    await cli.run('connector', 'trigger', 'lake', '--wait', ...capture);
    expect(cli.jobs.started.at(-1)?.request).toMatchObject({
      mode: 'CAPTURE_ONLY',
      snapshots: { kind: 'EXPLICIT', snapshotIds: ['7', '9223372036854775807'], branches: ['main', 'a b'] },
    });
    await cli.run('connector', 'trigger', 'lake', '--wait', '--branches', 'main');
    expect(cli.jobs.started.at(-1)?.request.snapshots).toEqual({ kind: 'ALL', branches: ['main'] });
    await cli.run('connector', 'trigger', 'lake', '--wait', '--snapshots', 'latest:2');
    expect(cli.jobs.started.at(-1)?.request.snapshots).toEqual({ kind: 'LATEST_N', latest: 2 });
    const wrong = await cli.run('connector', 'trigger', 'lake', '--snapshots', 'latest:9999999');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('error: --snapshots 9999999 is not between 1 and 1000000');
  });

  it('waits, and prints the job as one line of JSON', async () => {
    const { code, json, stderr } = await cli.run('connector', 'trigger', 'lake', '--wait', '--json');
    expect(code).toBe(0);
    expect(json).toHaveLength(1);
    expect(json[0]).toMatchObject({
      state: 'JS_SUCCEEDED',
      connectorName: 'lake',
      full: false,
      tablesScanned: '1235',
      tablesChanged: '8',
      tablesUnchanged: '1',
      tablesMissing: '0',
      errors: '0',
    });
    expect(stderr).toMatch(/scanning: 7 of 1,234 tables found, 9 snapshots, 10 files, 2\.0 KiB read/);
  });

  it('exits with 1 if the job failed, and prints how to list the failures', async () => {
    const failures = [
      { table: 'fx.broken', code: 'DATA_LOSS', message: 'v3.metadata.json is cut off', failedAt: new Date() },
    ];
    cli.jobs.outcome = { state: JobState.JS_FAILED, message: 'Partial failure (1): fx.broken', failures };
    const { code, stdout, stderr } = await cli.run('connector', 'trigger', 'lake', '--wait');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^state +failed$/m);
    expect(stdout).toMatch(/^ran for +4\.2s$/m);
    const jobId = /^job +(\S+)$/m.exec(stdout)?.[1] as string;
    expect(stderr).toContain(`reconciler job failures ${jobId}`);
    expect((await cli.run('job', 'failures', jobId, '--json')).json).toMatchObject([
      { table: 'fx.broken', code: 'DATA_LOSS', message: 'v3.metadata.json is cut off' },
    ]);
    expect((await cli.run('job', 'failures', jobId)).stdout).toMatch(
      /^fx\.broken +DATA_LOSS +\d{4}-\S+ +v3\.metadata\.json is cut off$/m,
    );
  });
});

describe('a task queue that no worker polls', () => {
  afterAll(() => {
    cli.jobs.served = undefined;
  });

  it('is a warning, and with --json too', async () => {
    cli.jobs.served = ['near'];
    const warning = "warning: no worker polls task queue 'far' at present, so jobs will wait.\n";
    const created = await cli.create('remote', '--task-queue', 'far');
    expect(created.code).toBe(0);
    expect(created.stderr).toContain(warning);
    const updated = await cli.run('connector', 'update', 'remote', '--task-queue', 'far', '--json');
    expect(updated).toMatchObject({ code: 0, stderr: warning });
    expect(updated.json).toHaveLength(1);
    const near = await cli.run('connector', 'update', 'remote', '--task-queue', 'near', '--json');
    expect(near).toMatchObject({ code: 0, stderr: '' });
  });
});
