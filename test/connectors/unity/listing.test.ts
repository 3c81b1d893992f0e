import { afterEach, describe, expect, it } from '@jest/globals';
import { respondWithJson } from '../rest/fake-server.ts';
import { loseToken } from './lost-tokens.ts';
import { failure, type UnityServer } from './unity-server.ts';
import { all, closeAll, openUnity, unityServer } from './unity-setup.ts';

afterEach(closeAll);

/** A server whose schema `s` has this many Delta tables. */
async function withTables(count: number): Promise<UnityServer> {
  const server = await unityServer();
  server.schema('main', 's');
  for (let i = 0; i < count; i++)
    server.add('main', 's', { name: `t${String(i).padStart(4, '0')}`, storage_location: 's3://b/t' });
  return server;
}

async function tableNames(server: UnityServer, size?: number): Promise<string[]> {
  const upstream = await openUnity(server);
  const tables = await all((page) => upstream.listTables(['s'], page), size);
  return tables.map(({ name }) => name);
}
const names = (count: number) => Array.from({ length: count }, (_, i) => `t${String(i).padStart(4, '0')}`);

describe('tables', () => {
  it('come in pages, and an empty page ends them only without a token', async () => {
    const server = await withTables(1001);
    server.hasEmptyPages = true;
    expect(await tableNames(server)).toEqual(names(1001));
    const queries = server.requests.map(({ path }) => new URL(path, 'http://u').searchParams);
    expect(queries.every((query) => query.get('max_results') === '50' || query.get('max_results') === '49')).toBe(true);
    expect(queries.every((query) => query.get('omit_columns') === 'true')).toBe(true);
  });

  it.each([[undefined], [null], ['']] as const)('end with the token %j', async (end) => {
    const server = await withTables(51);
    server.end = end;
    expect(await tableNames(server)).toEqual(names(51));
    expect(server.requests).toHaveLength(2);
  });

  it('are absent if Databricks leaves the empty list out', async () => {
    const server = await withTables(0);
    server.leavesOutEmptyLists = true;
    server.end = undefined;
    expect(await tableNames(server)).toEqual([]);
  });

  it('are unknown if the answer is not a listing', async () => {
    const server = await withTables(1);
    server.intercept = (_, response) => {
      respondWithJson(response, { status: 'ok' });
      return true;
    };
    await expect(tableNames(server)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining("it has no list 'tables'"),
    });
  });

  it('that fill the last page are listed once, and their end is confirmed', async () => {
    const server = await withTables(100);
    expect(await tableNames(server)).toEqual(names(100));
    // Two pages, the empty one, and the second page once more in two others.
    expect(server.requests).toHaveLength(5);
  });

  it.each([1, 7, 50, 1000])('are the same in pages of %i', async (size) => {
    const server = await withTables(120);
    expect(await tableNames(server, size)).toEqual(names(120));
  });

  it.each([
    ['another token', 'zzzz'],
    ['no token', null],
  ])('go on after a full page that has %s on the way', async (_, token) => {
    const server = await withTables(130);
    loseToken(server, 't0049', token);
    expect(await tableNames(server)).toEqual(names(130));
  });

  it('are unknown if tokens are lost again and again', async () => {
    const server = await withTables(130);
    loseToken(server, /^t/, 'zzzz');
    await expect(tableNames(server)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('a page token may have been lost'),
    });
  });

  it('are found again if a token has expired', async () => {
    const server = await withTables(130);
    const upstream = await openUnity(server);
    const first = await upstream.listTables(['s'], { size: 100 });
    let isRefused = false;
    server.intercept = ({ path }, response) => {
      if (isRefused || !path.includes('page_token')) return false;
      isRefused = true;
      const { status, json } = failure(400, 'INVALID_PARAMETER_VALUE', 'Invalid page token');
      respondWithJson(response, json, status);
      return true;
    };
    const rest = await all((page) => upstream.listTables(['s'], { ...page, token: page.token ?? first.nextToken }));
    expect([...first.items, ...rest].map(({ name }) => name)).toEqual(names(130));
    expect(isRefused).toBe(true);
  });

  it('of other kinds are counted, and views are neither', async () => {
    const server = await withTables(2);
    const kinds: [string, string, string | undefined][] = [
      ['uniform', 'MANAGED', 'DELTA_UNIFORM_ICEBERG'],
      ['clone', 'EXTERNAL_SHALLOW_CLONE', 'DELTA'],
      ['iceberg', 'MANAGED', 'ICEBERG'],
      ['csv', 'EXTERNAL', 'CSV'],
      ['foreign', 'FOREIGN', 'DELTA'],
      ['streaming', 'STREAMING_TABLE', 'DELTA'],
      ['materialized', 'MATERIALIZED_VIEW', 'DELTA'],
      ['metrics', 'METRIC_VIEW', undefined],
      ['shared', 'EXTERNAL', 'DELTASHARING'],
      ['view', 'VIEW', undefined],
    ];
    for (const [name, table_type, data_source_format] of kinds)
      server.add('main', 's', { name, table_type, data_source_format });
    server.add('main', 's', { name: 'browsed', browse_only: true });
    const upstream = await openUnity(server);
    const page = await upstream.listTables(['s'], { size: 100 });
    expect(page.items.map(({ name, format }) => [name, format])).toEqual(
      ['clone', 't0000', 't0001', 'uniform'].map((name) => [name, 'DELTA']),
    );
    expect(page.otherKinds).toBe(8);
    // A page that is cut counts each of them once.
    let [token, others] = [undefined as string | undefined, 0];
    do {
      const cut = await upstream.listTables(['s'], { size: 1, token });
      others += cut.otherKinds ?? 0;
      token = cut.nextToken;
    } while (token !== undefined);
    expect(others).toBe(8);
  });
});

describe('namespaces', () => {
  it('are schemas of the catalog that the property names', async () => {
    const server = await withTables(1);
    for (let i = 0; i < 120; i++) server.schema('main', `schema ${i}`);
    server.schema('main', 'information_schema');
    server.schema('other', 'x');
    const upstream = await openUnity(server);
    const schemas = await all((page) => upstream.listNamespaces([], page));
    expect(schemas).toHaveLength(121);
    expect(schemas).toContainEqual(['schema 7']);
    expect(await upstream.listNamespaces(['s'], { size: 10 })).toEqual({ items: [] });
    expect(await upstream.listTables([], { size: 10 })).toEqual({ items: [] });
    await expect(upstream.listTables(['main', 's'], { size: 10 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('property catalog is main'),
    });
  });

  it('are catalogs with their schemas if there is no such property, without those that only Databricks can read', async () => {
    const server = await withTables(1);
    server.schema('samples', 'tpch');
    server.catalogTypes.set('main', 'MANAGED_CATALOG').set('samples', 'DELTASHARING_CATALOG');
    const upstream = await openUnity(server, { catalog: '' });
    expect((await upstream.listNamespaces([], { size: 10 })).items).toEqual([['main']]);
    expect((await upstream.listNamespaces(['main'], { size: 10 })).items).toEqual([['main', 's']]);
    expect((await upstream.listTables(['main', 's'], { size: 10 })).items).toEqual([
      { namespace: ['main', 's'], name: 't0000', format: 'DELTA' },
    ]);
  });

  it('that do not exist are NOT_FOUND, and so is the catalog', async () => {
    const server = await withTables(1);
    await expect((await openUnity(server)).listTables(['gone'], { size: 10 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('Schema not found: main.gone'),
    });
    await expect((await openUnity(server, { catalog: 'gone' })).listNamespaces([], { size: 10 })).rejects.toMatchObject(
      {
        code: 'NOT_FOUND',
        message: expect.stringMatching(/^there is no catalog gone: .* Check the connector's property catalog\.$/),
      },
    );
  });
});

describe('views', () => {
  const columns = [
    {
      name: 'id',
      type_text: 'bigint',
      type_json: '{"name":"id","type":"long","nullable":false,"metadata":{}}',
      nullable: false,
    },
    {
      name: 'tags',
      type_text: 'array<string>',
      type_json: '{"type":"array","elementType":"string","containsNull":true}',
    },
    { name: 'price', type_text: 'decimal(10,2)', comment: 'in euros' },
    { name: 'n', type_text: 'int' },
  ];
  const view = { name: 'v', table_type: 'VIEW', data_source_format: undefined, columns, view_definition: 'SELECT 1' };

  it('come from the listing, and are requested by themselves only if it is not recent', async () => {
    const server = await withTables(60);
    const { table_id } = server.add('main', 's', { ...view, comment: 'All sales' });
    const upstream = await openUnity(server);
    expect(await all((page) => upstream.listViews(['s'], page))).toEqual([{ namespace: ['s'], name: 'v' }]);
    // Only the page with the view is requested with columns.
    expect(server.taken()).toHaveLength(3);
    const described = await upstream.describeView({ namespace: ['s'], name: 'v' });
    expect(server.taken()).toEqual([]);
    expect(described).toMatchObject({
      uuid: table_id,
      representations: [{ sql: 'SELECT 1', dialect: 'spark' }],
      defaultCatalog: 'main',
      defaultNamespace: ['s'],
      properties: { comment: 'All sales' },
    });
    expect(JSON.parse(described.schema.json).fields).toMatchObject([
      { name: 'id', required: true, type: 'long' },
      { name: 'tags', required: false, type: { type: 'list', element: 'string' } },
      { name: 'price', type: expect.stringMatching(/^decimal\(10, ?2\)$/), doc: 'in euros' },
      { name: 'n', type: 'int' },
    ]);
    expect(await upstream.describeView({ namespace: ['s'], name: 'v' })).toEqual(described);
    expect(server.taken()).toEqual(['GET /tables/main.s.v']);
  });

  it('have another fingerprint if their definition, columns or current schema change, and only then', async () => {
    const server = await unityServer();
    const added = server.add('main', 's', view);
    const upstream = await openUnity(server);
    const fingerprint = async () => (await upstream.describeView({ namespace: ['s'], name: 'v' })).fingerprint;
    const first = await fingerprint();
    expect(await fingerprint()).toBe(first);
    const seen = new Set([first]);
    const changes = [
      { view_definition: 'SELECT 2' },
      { columns: columns.slice(1) },
      {
        properties: {
          'view.catalogAndNamespace.numParts': '2',
          'view.catalogAndNamespace.part.0': 'c',
          'view.catalogAndNamespace.part.1': 'd',
        },
      },
    ];
    for (const change of changes) {
      Object.assign(added, change);
      seen.add(await fingerprint());
    }
    expect(seen.size).toBe(4);
    expect(await upstream.describeView({ namespace: ['s'], name: 'v' })).toMatchObject({
      defaultCatalog: 'c',
      defaultNamespace: ['d'],
    });
  });

  it('that became tables are gone', async () => {
    const server = await withTables(1);
    const upstream = await openUnity(server);
    await expect(upstream.describeView({ namespace: ['s'], name: 't0000' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

it('waits as long as a 429 requests', async () => {
  const server = await withTables(1);
  let isLimited = true;
  server.intercept = (_, response) => {
    if (!isLimited) return false;
    isLimited = false;
    const { json } = failure(429, 'REQUEST_LIMIT_EXCEEDED', 'slow down');
    respondWithJson(response, json, 429, { 'retry-after': '1' });
    return true;
  };
  const start = performance.now();
  expect(await tableNames(server)).toEqual(['t0000']);
  expect(performance.now() - start).toBeGreaterThan(900);
});

it.each([
  ['not a URL', 'unity', 'is not an http(s) URL'],
  ['with a query', 'https://adb-1.azuredatabricks.net/?o=1', 'has a query'],
])('an address that is %s is refused', async (_, uri, problem) => {
  const server = { url: uri } as UnityServer;
  await expect(openUnity(server)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining(problem),
  });
});

it('accepts the address of the API, and says if there is none', async () => {
  const server = await withTables(1);
  const at = (path: string) => openUnity({ url: server.url + path } as UnityServer);
  expect((await (await at('/api/2.1/unity-catalog/')).listNamespaces([], { size: 10 })).items).toEqual([['s']]);
  await expect((await at('/elsewhere')).listNamespaces([], { size: 10 })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('there is no Unity Catalog at'),
  });
});
