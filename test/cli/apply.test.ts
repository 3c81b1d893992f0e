import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { planOf } from '../../src/cli/apply/plan.ts';
import { readDeclarations } from '../../src/cli/apply/read-file.ts';
import { standardOutput } from '../../src/cli/io/output.ts';
import { type Harness, startHarness } from './harness.ts';

let cli: Harness;
const folder = mkdtempSync(join(tmpdir(), 'apply-'));
beforeEach(async () => {
  cli = await startHarness();
});
afterEach(async () => cli[Symbol.asyncDispose]());
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string, name = 'connectors.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const apply = (text: string, ...options: string[]) => cli.run('apply', '-f', fileOf(text), ...options);
const stored = async (name: string) =>
  cli.clients.connectors.getConnector({ by: { $case: 'displayName', value: name } });
const names = async () =>
  (await cli.clients.connectors.listConnectors({})).connectors.map(({ displayName }) => displayName);

const MINIMAL = 'kind: iceberg\nuri: file:///warehouse\ndestination-catalog: main\n';

describe('the example in docs/connectors.md', () => {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/connectors.md'), 'utf8');
  const example = /```yaml\n(# connectors\.yaml[\s\S]*?)```/.exec(docs)?.[1] ?? '';

  it('creates its connectors, and then changes nothing', async () => {
    const first = await apply(example);
    expect(first.stderr).toBe('created 3\n');
    expect(first.code).toBe(0);
    expect(await stored('lake')).toMatchObject({
      kind: 'CONNECTOR_KIND_ICEBERG',
      uri: 'https://catalog.example.com/api',
      description: 'Orders and customers',
      properties: { warehouse: 'prod', 'stats.ndv.enabled': 'true' },
      source: {
        includeNamespaces: ['sales', 'sales_*'],
        excludeTables: ['**.tmp_*'],
        snapshots: { kind: 'SNAPSHOT_SELECTION_KIND_LATEST_N', latest: 3, branches: ['main', 'audit'] },
      },
      destination: { catalogName: 'main' },
      auth: { scheme: 'AUTH_SCHEME_OAUTH2', secretRef: 'env:LAKE_CREDENTIAL', headerHints: { 'x-team': 'data' } },
      policy: {
        enabled: true,
        cron: ['0 6 * * mon-fri', '0 9 * * sat,sun'],
        timeZone: 'Europe/Vienna',
        jitter: { seconds: 600n },
        missing: { action: 'MISSING_ACTION_DROP', dropAfter: { seconds: 2_592_000n } },
        maxParallel: 16,
        maxRequestsPerSecond: 50,
      },
      alerts: { webhookUrl: 'file:/run/secrets/webhook-url', secretRef: 'env:LAKE_WEBHOOK_KEY' },
      state: 'CONNECTOR_STATE_ACTIVE',
      managedBy: 'default',
    });
    expect((await cli.run('connector', 'get', 'lake')).stdout).toMatch(/^managed by +apply, set default$/m);
    expect(await stored('archive')).toMatchObject({
      state: 'CONNECTOR_STATE_PAUSED',
      policy: { interval: { seconds: 86_400n }, enabled: true },
    });
    expect(await stored('events')).toMatchObject({
      kind: 'CONNECTOR_KIND_GLUE',
      source: { namespacePath: ['events'] },
      policy: { taskQueue: 'eu-west-1' },
    });
    const { etag } = await stored('lake');
    const second = await apply(example);
    expect(second).toMatchObject({ code: 0, stderr: 'unchanged 3\n' });
    expect((await stored('lake')).etag).toBe(etag);
    expect((await apply(example, '--dry-run')).code).toBe(0);
  });

  it('is what `connector get -o yaml` prints again', async () => {
    await apply(example);
    for (const name of ['lake', 'archive', 'events']) {
      const { stdout } = await cli.run('connector', 'get', name, '-o', 'yaml');
      expect(stdout).toMatch(new RegExp(`^name: ${name}\n`));
      expect(await apply(stdout)).toMatchObject({ code: 0, stdout: `unchanged     ${name}\n` });
    }
  });
});

it('reads documents, lists and JSON, of several files', async () => {
  const one = fileOf(`name: a\n${MINIMAL}---\n- name: b\n  ${MINIMAL.trim().replaceAll('\n', '\n  ')}\n`, 'one.yaml');
  const two = fileOf(
    JSON.stringify([{ name: 'c', kind: 'iceberg', uri: 'file:///w', 'destination-catalog': 'm', 'max-parallel': 4 }]),
    'two.json',
  );
  expect((await cli.run('apply', '-f', one, '-f', two)).code).toBe(0);
  expect(await names()).toEqual(['a', 'b', 'c']);
  expect((await stored('c')).policy?.maxParallel).toBe(4);
});

it('keeps every option that `connector create` can set', async () => {
  const created = await cli.create(
    'full',
    ...['--source-namespace', '"a.b".c', '--source-table', 'orders', '--source-columns', 'id,#3,"x,y"'],
    ...['--include-tables', '"a,b".*', '--exclude-namespaces', 'x', '--snapshots', '4611686018427387905,7'],
    ...['--branches', 'main,v1.2,"\\"q\\""', '--mode', 'metadata-only', '--destination-namespace', 'x."y.z"'],
    ...['--destination-table', 'o', '--auth-scheme', 'sigv4', '--auth-property', 'rest.signing-name=glue'],
    ...['--interval', '90m', '--no-schedule', '--jitter', '90s', '--not-before', '2026-07-01T12:00:00.250Z'],
    ...['--missing', 'keep', '--missing-max-share', '0', '--drop-after', '0'],
    ...['--webhook', 'https://hooks.example.com/T0/B1', '--property', 'rest.x=1.50', '--description', 'true'],
  );
  expect(created.stderr).not.toContain('error');
  const before = await stored('full');
  const { stdout } = await cli.run('connector', 'get', 'full', '-o', 'yaml');
  await cli.clients.connectors.deleteConnector({ connectorId: before.connectorId });
  expect((await apply(stdout)).stderr).toBe('created 1\n');
  const { connectorId: _, etag: __, createdAt: ___, updatedAt: ____, managedBy: _____, ...rest } = before;
  expect(await stored('full')).toMatchObject(rest);
});

describe('a change', () => {
  beforeEach(async () => {
    await apply(`name: lake\n${MINIMAL}max-parallel: 8\ninterval: 15m\nproperty: {a: '1', b: '2'}\n`);
  });
  const CHANGED = `name: lake\n${MINIMAL}cron: '0 3 * * *'\nproperty: {b: '3', c: '4'}\n`;

  it('is shown key by key by a dry run, which changes nothing', async () => {
    const { etag } = await stored('lake');
    const { code, stdout } = await apply(`${CHANGED}---\nname: new\n${MINIMAL}`, '--dry-run');
    expect(code).toBe(4);
    expect(stdout.split('\n')).toEqual([
      'would update  lake',
      '              property a: 1 → (default)',
      '              property b: 2 → 3',
      '              property c: 4',
      '              interval: 15m → (default)',
      '              max-parallel: 8 → (default)',
      '              cron: 0 3 * * *',
      'would create  new',
      '              kind: iceberg',
      '              uri: file:///warehouse',
      '              destination-catalog: main',
      '',
    ]);
    expect((await stored('lake')).etag).toBe(etag);
    expect(await names()).toEqual(['lake']);
    const { json } = await apply(CHANGED, '--dry-run', '--json');
    expect(json).toEqual([
      {
        name: 'lake',
        action: 'update',
        dryRun: true,
        changes: expect.arrayContaining([
          { key: 'max-parallel', from: 8 },
          { key: 'interval', from: '15m' },
        ]),
      },
    ]);
  });

  it('replaces what the file no longer has, and keeps the ids of the destination', async () => {
    const { connectorId } = await stored('lake');
    await cli.clients.connectors.updateConnector({
      connector: { connectorId, destination: { catalogId: 'cat_1' } },
      updateMask: ['destination.catalog_id'],
    });
    expect((await apply(CHANGED)).stderr).toBe('updated 1\n');
    const { policy, properties, destination } = await stored('lake');
    expect(policy).toMatchObject({ maxParallel: 0, cron: ['0 3 * * *'], enabled: true });
    expect(policy?.interval?.seconds ?? 0n).toBe(0n);
    expect(properties).toEqual({ b: '3', c: '4' });
    expect(destination).toMatchObject({ catalogId: 'cat_1', catalogName: 'main' });
  });

  it('leaves the state to people unless the file has it', async () => {
    await cli.run('connector', 'pause', 'lake');
    await apply(CHANGED);
    expect((await stored('lake')).state).toBe('CONNECTOR_STATE_PAUSED');
    await apply(`${CHANGED}state: active\n`);
    expect((await stored('lake')).state).toBe('CONNECTOR_STATE_ACTIVE');
  });

  it('does not overwrite one that is made at the same time', async () => {
    const { declared } = readDeclarations('f.yaml', `name: first\n${MINIMAL}---\n${CHANGED}`);
    const plan = await planOf({ clients: cli.clients, out: standardOutput(false) }, declared, {
      set: 's',
      prune: false,
    });
    expect(plan.problems).toEqual([
      "f.yaml:6:1: connector 'lake' belongs to the set 'default': change it there, or apply with --set default",
    ]);
    const context = { clients: cli.clients, out: standardOutput(false) };
    const { steps } = await planOf(context, declared, { set: 'default', prune: false });
    const { connectorId } = await stored('lake');
    await cli.clients.connectors.updateConnector({
      connector: { connectorId, description: 'mine' },
      updateMask: ['description'],
    });
    const [first, lake] = steps;
    await first?.run({ validateOnly: false });
    const error = await lake?.run({ validateOnly: false }).catch((error) => error);
    expect(lake?.problemsOf(error)).toEqual([
      "f.yaml:6:1: connector 'lake' was changed by someone else in the meantime: apply again",
    ]);
    expect((await stored('lake')).description).toBe('mine');
    expect(await names()).toEqual(['first', 'lake']);
  });
});

describe('what is wrong with a file', () => {
  const problems = async (text: string) => {
    const { code, stdout, stderr } = await apply(text);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/\nhint: nothing was changed\n$/);
    expect(await names()).toEqual([]);
    return stderr
      .replaceAll(`${folder}/`, '')
      .replace(/^error: (\d+ problems\n)?/, '')
      .replace(/\nhint: .*\n/, '')
      .split('\n');
  };

  it('is reported all at once, with line and column', async () => {
    const text = `connectors:
  - name: lake
    kind: icebreg
    uri: nowhere
    destination-catalog: main
    maxParallel: 4
    interval: 5 parsecs
    properties: {a: b}
    quux: 1
  - name: other
    header: Bearer abc
    cron: {a: b}
    schedule: yes
    description:
    uri: *hunter2
  - just text
`;
    expect(await problems(text)).toEqual([
      "connectors.yaml:3:5: kind 'icebreg' is not one of iceberg, delta, glue, unity",
      "connectors.yaml:4:5: uri 'nowhere' is not a URI, for example file:///warehouse or https://catalog.example.com",
      "connectors.yaml:6:5: unknown key 'maxParallel'; did you mean 'max-parallel'?",
      "connectors.yaml:7:5: interval '5 parsecs' is not a duration, for example 90s, 15m, 6h or 1d",
      "connectors.yaml:8:5: unknown key 'properties'; did you mean 'property'?",
      "connectors.yaml:9:5: unknown key 'quux'; the keys are the options of `reconciler connector create`, without dashes",
      "connectors.yaml:11:5: 'header' is not a mapping: write its keys and values below it",
      "connectors.yaml:12:5: 'cron' must be a single value",
      "connectors.yaml:13:5: schedule 'yes' is neither true nor false",
      "connectors.yaml:14:5: 'description' has no value: give one, or remove the key",
      "connectors.yaml:15:5: the alias of 'uri' has no anchor before it",
      "connectors.yaml:10:5: connector 'other' has no 'kind'",
      "connectors.yaml:10:5: connector 'other' has no 'destination-catalog'",
      'connectors.yaml:16:5: is not a connector: give a mapping with name, kind, uri and so on',
    ]);
  });

  it('is checked by the catalog before anything is changed', async () => {
    const text = `name: first\n${MINIMAL}---\nname: lake\n${MINIMAL}cron: ['@daily', '61 * * * *']\ntime-zone: Mars\n`;
    expect(await problems(text)).toEqual([
      "connectors.yaml:10:1: connector 'lake': cron '61 * * * *': '61' is not a valid minute: use values from 0 to 59, ranges such as 1-5, */2, or *",
      "connectors.yaml:11:1: connector 'lake': time-zone 'Mars' is not an IANA name such as Europe/Vienna",
    ]);
  });

  it('is a secret in plain text, which is not printed', async () => {
    const text = `name: lake\n${MINIMAL}secret-ref: hunter2\nheader: {authorization: Bearer hunter2}\nproperty:\n  s3.secret-access-key: hunter2\n`;
    const found = await problems(text);
    expect(found).toEqual([
      expect.stringMatching(/^connectors\.yaml:5:1: connector 'lake': secret-ref is not a reference: give env:NAME/),
      expect.stringMatching(/^connectors\.yaml:6:1: connector 'lake': header 'authorization' contains a secret/),
      expect.stringMatching(
        /^connectors\.yaml:7:1: connector 'lake': property 's3\.secret-access-key' contains a secret/,
      ),
    ]);
    expect(found.join()).not.toContain('hunter2');
    const dry = await apply(text, '--dry-run');
    expect(dry.stdout + dry.stderr).not.toContain('hunter2');
  });

  it.each([
    'name: lake\nsecret-ref: "hunter2\n',
    'name: lake\n  secret-ref: hunter2\n',
    '{"name": "lake", "secret-ref": "hunter2",,}',
    'name: lake\nsecret-ref: hunter2\nsecret-ref: hunter2\n',
  ])('is its syntax, without the text: %j', async (text) => {
    const found = await problems(text);
    expect(found[0]).toMatch(/^connectors\.yaml:\d+:\d+: is not valid YAML: /);
    expect(found.join()).not.toContain('hunter2');
  });

  it('is a name that is declared twice, or another kind than that of the stored connector', async () => {
    const twice = `name: lake\n${MINIMAL}---\nname: lake\n${MINIMAL}`;
    expect(await problems(twice)).toEqual([
      `connectors.yaml:6:1: connector 'lake' is also declared at ${folder}/connectors.yaml:1:1`.replace(
        `${folder}/`,
        '',
      ),
    ]);
    await apply(`name: lake\n${MINIMAL}`);
    const { code, stderr } = await apply('name: lake\nkind: glue\ndestination-catalog: main\n');
    expect(code).toBe(2);
    expect(stderr).toContain("connector 'lake' has the kind iceberg, which cannot be changed to glue");
  });

  it('is that it cannot be read', async () => {
    const { code, stderr } = await cli.run('apply', '-f', join(folder, 'none.yaml'));
    expect(code).toBe(2);
    expect(stderr).toContain("none.yaml' cannot be read: it does not exist\n");
    expect((await cli.run('apply')).stderr).toContain('error: --file is required\n');
  });
});

describe('--prune', () => {
  beforeEach(async () => {
    await apply(`name: a\n${MINIMAL}---\nname: b\n${MINIMAL}`);
    await apply(`name: theirs\n${MINIMAL}`, '--set', 'theirs');
    await cli.create('by-hand');
  });

  it('deletes what the set created and no longer declares, and nothing else', async () => {
    const dry = await apply(`name: a\n${MINIMAL}`, '--prune', '--dry-run');
    expect(dry).toMatchObject({ code: 4, stdout: 'unchanged     a\nwould delete  b\n' });
    const { code, stdout, stderr } = await apply(`name: a\n${MINIMAL}`, '--prune', '--yes');
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'unchanged     a\ndeleted       b\n',
      stderr: 'deleted 1, unchanged 1\n',
    });
    expect(await names()).toEqual(['a', 'by-hand', 'theirs']);
  });

  it('wants a confirmation, and is not the default', async () => {
    const { code, stderr } = await apply(`name: a\n${MINIMAL}max-parallel: 2\n`, '--prune');
    expect(code).toBe(2);
    expect(stderr).toBe('error: --prune deletes 1 connector: b\nhint: add --yes to confirm; nothing was changed\n');
    expect((await stored('a')).policy?.maxParallel ?? 0).toBe(0);
    await apply(`name: a\n${MINIMAL}`);
    expect(await names()).toContain('b');
  });

  it('does not delete a connector that a file adopted', async () => {
    await apply(`name: by-hand\n${MINIMAL}max-parallel: 2\n`);
    expect((await stored('by-hand')).managedBy).toBe('');
    await apply(`name: a\n${MINIMAL}---\nname: b\n${MINIMAL}`, '--prune', '--yes');
    expect(await names()).toContain('by-hand');
  });
});
