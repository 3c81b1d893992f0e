import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CleanUp } from '../clean-up.ts';
import { startMoto } from '../servers/moto.ts';
import { startNessie } from '../servers/nessie.ts';
import { all, expectFingerprints, open, SCHEMA, send, setProperty } from './rest-probes.ts';

describe('Nessie', () => {
  const cleanUp = new CleanUp();
  let uri: string;
  let s3: Record<string, string>;

  beforeAll(async () => {
    const moto = cleanUp.use(await startMoto());
    await moto.createBucket('lake');
    const nessie = cleanUp.use(await startNessie({ warehouse: 's3://lake/nessie', s3: moto }));
    uri = nessie.restUrl;
    s3 = { 's3.access-key-id': moto.access.accessKeyId, 's3.secret-access-key': moto.access.secretAccessKey };
    for (const namespace of [['sales'], ['sales', 'e.u'], ['od d/n%s é']]) {
      await send('POST', `${uri}/v1/main/namespaces`, { namespace });
    }
    for (const name of ['a', 'b', 'c d/e%20']) {
      await send('POST', `${uri}/v1/main/namespaces/sales/tables`, { name, schema: SCHEMA, 'stage-create': false });
    }
    await send('POST', `${uri}/v1/main/namespaces/sales%1Fe.u/tables`, {
      name: 'deep',
      schema: SCHEMA,
      'stage-create': false,
    });
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it('lists by its prefix and separator, in pages', async () => {
    await using connector = await open(uri, s3);
    expect((await all((page) => connector.listNamespaces([], page), 1)).sort()).toEqual([['od d/n%s é'], ['sales']]);
    expect(await all((page) => connector.listNamespaces(['sales'], page), 1)).toEqual([['sales', 'e.u']]);
    const tables = await all((page) => connector.listTables(['sales'], page), 2);
    expect(tables.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c d/e%20']);
    for (const table of [...tables, { namespace: ['sales', 'e.u'], name: 'deep' }]) {
      await using reader = await connector.openTable(table);
      expect(reader.descriptor.location).toMatch(/^s3:\/\/lake\/nessie\//);
    }
    expect(await connector.listTables(['od d/n%s é'], { size: 5 })).toEqual({ items: [] });
  });

  it('distinguishes a changed table from an unchanged one, even if others have changed', async () => {
    const other = () => setProperty(`${uri}/v1/main`, 'sales', 'b', String(Math.random()));
    await using connector = await open(uri, s3);
    const table = { namespace: ['sales'], name: 'a' };
    const known = (await connector.openTable(table)).descriptor.fingerprint;
    await other();
    expect(await connector.fingerprint(table, known)).toBe(known);
    await expectFingerprints(uri, table, () => setProperty(`${uri}/v1/main`, 'sales', 'a', '1'));
  });

  it('reports an unknown warehouse', async () => {
    await expect(open(uri, { warehouse: 'none-such' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/has no warehouse "none-such"/),
    });
  });

  it('is not found at the root of its URL', async () => {
    await expect(open(uri.replace('/iceberg', ''))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/there is no Iceberg REST catalog at .*Check the path of the URI.*\/iceberg/),
    });
  });
});
