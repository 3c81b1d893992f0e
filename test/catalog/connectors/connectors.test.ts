import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AuthScheme,
  ConnectorKind,
  ConnectorState,
  MissingAction,
} from '../../../src/generated/reconciler/v1/connectors.ts';
import { isPlainSecret } from '../../../src/secrets.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const create = (fields: object = {}) =>
  catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });

describe('CreateConnector', () => {
  it('stores all fields and returns the same connector for the same key', async () => {
    const { connectors } = catalog.clients;
    const connector = connectorSpec({
      description: 'd',
      source: { namespacePath: ['a', 'b'], table: 't', columns: ['x.y', '#4'] },
      destination: { catalogName: 'main', namespacePath: ['n'], tableName: 'u' },
      auth: {
        scheme: AuthScheme.AUTH_SCHEME_BEARER,
        secretRef: 'env:TOKEN',
        headerHints: { 'X-Team': 'data' },
        properties: { token: 'env:OTHER', 'oauth2-server-uri': 'https://x/token' },
      },
      policy: { interval: { seconds: 3600n }, enabled: true, maxParallel: 4, notBefore: new Date(1_700_000_000_000) },
      properties: {
        'stats.ndv.enabled': 'true',
        's3.access-key-id': 'AKIA',
        's3.secret-access-key': 'file:/run/secret',
      },
    });
    const created = await connectors.createConnector({ connector, idempotencyKey: 'c1' });
    expect(created).toMatchObject({ ...connector, state: ConnectorState.CONNECTOR_STATE_ACTIVE, runningJobId: '' });
    expect(await connectors.createConnector({ connector, idempotencyKey: 'c1' })).toEqual(created);
    expect(
      await failure(
        connectors.createConnector({ connector: { ...connector, uri: 'file:///other' }, idempotencyKey: 'c1' }),
      ),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(
      await failure(connectors.createConnector({ connector: { ...connector, uri: 'file:///other' } })),
    ).toMatchObject(refusal('ALREADY_EXISTS', `'${connector.displayName}'`));
    expect(await connectors.getConnector({ by: { $case: 'displayName', value: connector.displayName } })).toEqual(
      created,
    );
    expect(await connectors.getConnector({ by: { $case: 'connectorId', value: created.connectorId } })).toEqual(
      created,
    );
    expect(await failure(connectors.getConnector({ by: { $case: 'displayName', value: 'no' } }))).toMatchObject(
      refusal('NOT_FOUND', "'no'"),
    );
    expect(await failure(connectors.getConnector({}))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each([
    ['no name', { displayName: '' }, 'connector.display_name: is required'],
    ['a long name', { displayName: 'x'.repeat(129) }, 'at most 128'],
    ['control characters', { displayName: 'a\tb' }, 'control characters'],
    ['no kind', { kind: ConnectorKind.CONNECTOR_KIND_UNSPECIFIED }, 'connector.kind'],
    ['no URI', { uri: '' }, 'connector.uri: is required'],
    ['no URI at all', { uri: 'warehouse' }, 'is not a URI'],
    ['another scheme', { uri: 'ftp://host/x' }, "has the scheme 'ftp'"],
    ['a relative file', { uri: 'file:warehouse' }, 'not an absolute path'],
    ['a file of another host', { uri: 'file://host/x' }, 'not an absolute path'],
    ['a bucket without a name', { uri: 's3:///x' }, 'no host or bucket'],
    ['a bucket of Google without a name', { uri: 'gs:///x' }, 'no host or bucket'],
    ['an Azure URI without an account', { uri: 'abfss://@/x' }, 'connector.uri'],
    [
      'a password in an Azure URI',
      { uri: 'wasbs://c:hunter2@a.blob.core.windows.net/x' },
      'contains a user or password',
    ],
    [
      'a Glue URI that names no region',
      { kind: ConnectorKind.CONNECTOR_KIND_GLUE, uri: 'glue://europe' },
      'does not name an AWS region',
    ],
    [
      'Glue on S3',
      { kind: ConnectorKind.CONNECTOR_KIND_GLUE, uri: 's3://bucket/x' },
      "has the scheme 's3', but this kind supports glue, http, https",
    ],
    [
      'an auth scheme of Glue for another kind',
      { auth: { scheme: AuthScheme.AUTH_SCHEME_AWS } },
      'AWS is not supported by this kind: give NONE, BEARER, OAUTH2, SIGV4',
    ],
    [
      'an auth scheme of another kind for Glue',
      { kind: ConnectorKind.CONNECTOR_KIND_GLUE, uri: '', auth: { scheme: AuthScheme.AUTH_SCHEME_OAUTH2 } },
      'connector.auth.scheme: OAUTH2 is not supported by this kind: give NONE, AWS, SIGV4',
    ],
    [
      'a table without a namespace',
      { source: { table: 't' } },
      'connector.source.namespace_path: is required if source.table is set',
    ],
    [
      'one destination table for several tables',
      { destination: { tableName: 't' } },
      'connector.destination.table_name: is for a single table',
    ],
    [
      'one destination table id for several tables',
      { destination: { tableId: 'tbl_1' }, source: { namespacePath: ['a'] } },
      'connector.destination.table_id',
    ],
    ['an empty segment', { source: { namespacePath: ['a', ''] } }, 'namespace_path[1]'],
    ['an interval below 0', { policy: { interval: { seconds: -1n } } }, 'policy.interval'],
    [
      'a cron of four fields',
      { policy: { cron: ['0 6 * * *', '0 6 * *'] } },
      "policy.cron[1]: '0 6 * *' is neither five",
    ],
    [
      'an hour that does not exist',
      { policy: { cron: ['0 24 * * *'] } },
      "policy.cron[0]: '0 24 * * *': '24' is not a valid hour: use values from 0",
    ],
    ['too many crons', { policy: { cron: Array(21).fill('@daily') } }, 'policy.cron: has 21 entries'],
    [
      'an interval and a cron',
      { policy: { cron: ['@daily'], interval: { seconds: 60n } } },
      'policy.cron: and policy.interval',
    ],
    [
      'an unknown time zone',
      { policy: { timeZone: 'Europe/Wien' } },
      "policy.time_zone: 'Europe/Wien' is not an IANA name",
    ],
    ['jitter of more than a day', { policy: { jitter: { seconds: 86_401n } } }, 'policy.jitter: 86401s is not between'],
    ['jitter below 0', { policy: { jitter: { seconds: -1n } } }, 'policy.jitter'],
    [
      'jitter beyond the interval',
      { policy: { jitter: { seconds: 61n }, interval: { seconds: 60n } } },
      'policy.jitter: 61s is not between 0 and 1m',
    ],
    ['a task queue of Temporal', { policy: { taskQueue: '/_sys/x' } }, "policy.task_queue: '/_sys/x' starts with '/'"],
    ['the task queue of workflows', { policy: { taskQueue: 'reconciler' } }, 'policy.task_queue'],
    ['too much at once', { policy: { maxParallel: 65 } }, 'policy.max_parallel: 65 is not between 0 and 64'],
    [
      'less than one request per hundred seconds',
      { policy: { maxRequestsPerSecond: 0.001 } },
      'policy.max_requests_per_second: 0.001 is neither 0 nor between 0.01 and 100000',
    ],
    ['a rate that is not a number', { policy: { maxRequestsPerSecond: Number.NaN } }, 'policy.max_requests_per_second'],
    ['DELETING', { state: ConnectorState.CONNECTOR_STATE_DELETING }, 'connector.state'],
    [
      'a sample fraction above 1',
      { properties: { 'stats.ndv.sample_fraction': '1.5' } },
      'connector.properties[stats.ndv.sample_fraction]: is "1.5"',
    ],
    ['a switch that is not a boolean', { properties: { 'stats.footers.enabled': 'yes' } }, 'it must be true or false'],
  ])('refuses %s', async (_, fields, message) => {
    expect(await failure(create(fields))).toMatchObject(refusal('INVALID_ARGUMENT', message));
  });

  it.each([
    ['stats.ndv.enabled', 'yes'],
    ['stats.ndv.sample_fraction', '0'],
    ['stats.ndv.sample_fraction', '1.5'],
    ['stats.ndv.max_files', '-1'],
    ['stats.ndv.max_files', 'many'],
    ['stats.footers.enabled', '1'],
  ])('refuses %s = %s', async (name, value) => {
    const refused = await failure(create({ properties: { 'stats.ndv.enabled': 'true', [name]: value } }));
    expect(refused).toMatchObject(refusal('INVALID_ARGUMENT', `connector.properties[${name}]: is "${value}"`));
  });

  it.each([
    ['ICEBERG', 's3://bucket/warehouse', 'SIGV4'],
    ['ICEBERG', 's3a://bucket', 'UNSPECIFIED'],
    ['ICEBERG', 's3n://bucket/x', 'NONE'],
    ['ICEBERG', 'abfss://lake@account.dfs.core.windows.net/ware house', 'NONE'],
    ['ICEBERG', 'abfs://lake@account.dfs.core.windows.net', 'UNSPECIFIED'],
    ['ICEBERG', 'wasbs://lake@account.blob.core.windows.net/x', 'UNSPECIFIED'],
    ['ICEBERG', 'gs://bucket/warehouse', 'NONE'],
    ['DELTA', 'abfss://lake@account.dfs.core.windows.net/x', 'NONE'],
    ['DELTA', 'gs://bucket/x', 'NONE'],
    ['ICEBERG', 'https://catalog.example.com/api', 'OAUTH2'],
    ['ICEBERG', 'http://127.0.0.1:8181', 'BEARER'],
    ['GLUE', '', 'UNSPECIFIED'],
    ['GLUE', 'glue://', 'NONE'],
    ['GLUE', 'glue:', 'AWS'],
    ['GLUE', 'glue://us-gov-west-1', 'SIGV4'],
    ['GLUE', 'https://glue.eu-west-1.amazonaws.com', 'AWS'],
  ] as const)('takes kind %s at %j by %j', async (kind, uri, scheme) => {
    const auth = { scheme: AuthScheme[`AUTH_SCHEME_${scheme}`], secretRef: '' };
    expect(await create({ kind: ConnectorKind[`CONNECTOR_KIND_${kind}`], uri, auth })).toMatchObject({ uri, auth });
  });

  it.each([
    'env:TOKEN',
    'file:/run/secrets/token',
    'aws-secretsmanager:prod/lake',
    'aws-secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:x-Ab#key',
  ])('accepts the secret reference %s', async (secretRef) => {
    expect(await create({ auth: { secretRef } })).toMatchObject({ auth: { secretRef } });
  });

  it.each([
    ['in the URI', { uri: 'https://user:hunter2@host/x' }, 'auth.secret_ref'],
    ['in the URI query', { uri: 'https://host/x?token=hunter2' }, "'token'"],
    ['as secret_ref', { auth: { secretRef: 'hunter2' } }, 'env:NAME, file:/path or aws-secretsmanager:'],
    ['in auth.properties', { auth: { properties: { client_secret: 'hunter2' } } }, 'auth.properties[client_secret]'],
    ['in header hints', { auth: { headerHints: { Authorization: 'hunter2' } } }, 'auth.header_hints[Authorization]'],
    ['in properties', { properties: { 'header.X-Api-Key': 'hunter2' } }, 'properties[header.X-Api-Key]'],
    ['under any key', { properties: { note: 'Bearer hunter2' } }, 'properties[note]'],
  ])('refuses a secret %s and does not repeat it', async (_, fields, message) => {
    const error = await failure(create(fields));
    expect(error).toMatchObject(refusal('INVALID_ARGUMENT', message));
    expect(error.message).not.toContain('hunter2');
    expect(catalog.log.join()).not.toContain('hunter2');
  });

  it('distinguishes secrets from similar values', () => {
    for (const key of [
      'password',
      'rest.token',
      'credential',
      's3.secret-access-key',
      's3.session-token',
      'api_key',
      'header.Authorization',
      'adls.connection-string.account',
    ]) {
      expect([key, isPlainSecret(key, 'x')]).toEqual([key, true]);
      expect([key, isPlainSecret(key, 'env:X')]).toEqual([key, false]);
      expect([key, isPlainSecret(key, 'aws-secretsmanager:lake#key')]).toEqual([key, false]);
    }
    for (const key of [
      's3.access-key-id',
      'rest.token-uri',
      'oauth2-server-uri',
      'token-expires-in-ms',
      'token-refresh-enabled',
      'scope',
      's3.region',
      'credentials-provider',
      's3.session-token-expires-at-ms',
      'secretsmanager.region',
      'secretsmanager.profile-name',
    ]) {
      expect([key, isPlainSecret(key, 'x')]).toEqual([key, false]);
    }
  });
});

describe('UpdateConnector and DeleteConnector', () => {
  it('change whole parts and single fields', async () => {
    const { connectors } = catalog.clients;
    const created = await create({
      policy: { maxParallel: 4, interval: { seconds: 60n } },
      source: { namespacePath: ['a'] },
    });
    const update = (fields: object, ...updateMask: string[]) =>
      connectors.updateConnector({ connector: { connectorId: created.connectorId, ...fields }, updateMask });
    expect(await update({ policy: { maxParallel: 9 } }, 'policy.max_parallel')).toMatchObject({
      policy: { maxParallel: 9, interval: { seconds: 60n } },
    });
    expect(await update({ policy: { enabled: true } }, 'policy')).toMatchObject({
      policy: { maxParallel: 0, enabled: true },
    });
    const missing = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 60n }, maxShare: 0.5 };
    expect(await update({ policy: { missing } }, 'policy.missing.max_share', 'policy.missing')).toMatchObject({
      policy: { enabled: true, missing },
    });
    expect(await update({ policy: { missing: { maxShare: 1 } } }, 'policy.missing.max_share')).toMatchObject({
      policy: { enabled: true, missing: { ...missing, maxShare: 1 } },
    });
    expect(await update({}, 'policy.missing.drop_after')).toMatchObject({
      policy: { missing: { action: missing.action, maxShare: 1 } },
    });
    for (const wrong of [
      { dropAfter: { seconds: -1n } },
      { maxShare: 1.1 },
      { maxShare: Number.NaN },
      { maxShare: -0.1 },
    ]) {
      expect(await failure(update({ policy: { missing: wrong } }, 'policy.missing'))).toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    expect((await update({}, 'source')).source).toBeUndefined();
    expect(
      await update(
        { source: { namespacePath: ['b'], table: 't' }, destination: { tableName: 'u' } },
        'source.table',
        'source.namespace_path',
        'destination.table_name',
      ),
    ).toMatchObject({ source: { namespacePath: ['b'], table: 't' }, destination: { tableName: 'u' } });
    expect(await failure(update({}, 'source.table'))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'destination.table_name'),
    );
    expect(await failure(update({ policy: { maxParallel: 100 } }, 'policy.max_parallel'))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await failure(update({}, 'kind'))).toMatchObject(refusal('INVALID_ARGUMENT', "'kind' cannot be updated"));
    expect(await failure(update({}, 'state'))).toMatchObject(refusal('INVALID_ARGUMENT', 'connector.state'));
    expect(await failure(update({ etag: created.etag }, 'description'))).toMatchObject({ code: 'ABORTED' });
    expect(await update({ state: ConnectorState.CONNECTOR_STATE_PAUSED }, 'state')).toMatchObject({
      state: ConnectorState.CONNECTOR_STATE_PAUSED,
    });
    expect(await failure(connectors.triggerReconcile({ connectorId: created.connectorId }))).toMatchObject(
      refusal('FAILED_PRECONDITION', 'is PAUSED'),
    );
  });

  it('lists by name', async () => {
    await using own = await TestCatalog.start();
    const { connectors } = own.clients;
    for (const displayName of ['b', 'c', 'a'])
      await connectors.createConnector({ connector: { ...connectorSpec(), displayName } });
    const first = await connectors.listConnectors({ pageSize: 2 });
    const second = await connectors.listConnectors({ pageSize: 2, pageToken: first.nextPageToken });
    expect([...first.connectors, ...second.connectors].map(({ displayName }) => displayName)).toEqual(['a', 'b', 'c']);
    // The token belongs to another list.
    const { nextPageToken } = await connectors.listConnectors({ pageSize: 1 });
    expect(await failure(own.clients.catalogs.listCatalogs({ pageToken: nextPageToken }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('ValidateConnector', () => {
  it('has a worker validate a stored connector or a spec', async () => {
    const { connectors } = catalog.clients;
    const { connectorId } = await create();
    const stored = await connectors.validateConnector({ target: { $case: 'connectorId', value: connectorId } });
    expect(stored).toMatchObject({
      ok: true,
      sampleTables: ['fx.orders'],
      summary: expect.stringContaining(connectorId),
    });
    const unnamed = { ...connectorSpec(), displayName: '' };
    expect(
      (await connectors.validateConnector({ target: { $case: 'connector', value: unnamed as never } })).summary,
    ).toContain('draft_');
    expect(
      await failure(
        connectors.validateConnector({ target: { $case: 'connector', value: { ...unnamed, uri: 'x' } as never } }),
      ),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(
      await failure(connectors.validateConnector({ target: { $case: 'connectorId', value: 'con_no' } })),
    ).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(connectors.validateConnector({}))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    catalog.jobs.down = true;
    expect(
      await failure(connectors.validateConnector({ target: { $case: 'connectorId', value: connectorId } })),
    ).toMatchObject({ code: 'UNAVAILABLE' });
    catalog.jobs.down = false;
  });
});

describe('validate_only', () => {
  it('reports what is wrong with a connector or an update, and changes nothing', async () => {
    const { connectors } = catalog.clients;
    const spec = { ...connectorSpec(), displayName: 'only checked' };
    expect(await connectors.createConnector({ connector: spec, validateOnly: true })).toMatchObject({
      displayName: 'only checked',
      connectorId: '',
    });
    const get = () => connectors.getConnector({ by: { $case: 'displayName', value: 'only checked' } });
    expect(await failure(get())).toMatchObject(refusal('NOT_FOUND', 'only checked'));
    const wrong = { ...spec, policy: { timeZone: 'Mars' } };
    expect(await failure(connectors.createConnector({ connector: wrong, validateOnly: true }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'policy.time_zone'),
    );
    const created = await connectors.createConnector({ connector: spec });
    expect(await failure(connectors.createConnector({ connector: spec, validateOnly: true }))).toMatchObject(
      refusal('ALREADY_EXISTS', 'only checked'),
    );
    const { connectorId } = created;
    const update = (connector: object, updateMask: string[], etag = '') =>
      connectors.updateConnector({ connector: { ...connector, connectorId, etag }, updateMask, validateOnly: true });
    expect((await update({ description: 'new' }, ['description'])).description).toBe('new');
    expect(await failure(update({ uri: 'ftp://x' }, ['uri']))).toMatchObject(refusal('INVALID_ARGUMENT', 'ftp'));
    expect(await failure(update({ description: 'x' }, ['description'], 'stale'))).toMatchObject(
      refusal('ABORTED', 'changed meanwhile'),
    );
    const other = await connectors.createConnector({ connector: { ...connectorSpec(), displayName: 'other name' } });
    expect(await failure(update({ displayName: other.displayName }, ['display_name']))).toMatchObject(
      refusal('ALREADY_EXISTS', 'other name'),
    );
    expect(await get()).toEqual(created);
  });
});
