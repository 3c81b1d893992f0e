import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { formatName } from '../../../src/names.ts';
import { differences } from '../../integration/contents/compare-truth.ts';
import { readTruth } from '../../integration/contents/truth.ts';
import { ROOT, RunningStack } from '../../integration/stack/running-stack.ts';
import { CleanUp } from '../clean-up.ts';
import { startAzurite } from '../servers/azurite.ts';
import { startFakeGcs } from '../servers/fake-gcs.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg');
const truth = readTruth(join(FIXTURES, 'truth'));
const WAREHOUSES = ['wh', 'fs'].filter((warehouse) => existsSync(join(FIXTURES, warehouse)));
const ACCOUNT_KEY = 'AZURITE_ACCOUNT_KEY';

/** A store with the fixtures' files. */
interface Place {
  uri: string;
  properties: Record<string, string>;
  /** Of the worker. */
  env: Record<string, string>;
}

type Put = (key: string, body: Uint8Array) => Promise<void>;

async function upload(put: Put): Promise<void> {
  for (const path of readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' })) {
    if (!/^(wh|fs)\//.test(path) || !statSync(join(FIXTURES, path)).isFile()) continue;
    await put(`ware house/${path}`, readFileSync(join(FIXTURES, path)));
  }
}

async function azure(cleanUp: CleanUp): Promise<Place> {
  const azurite = cleanUp.use(await startAzurite());
  await azurite.createContainer('lake');
  await upload((key, body) => azurite.putBlob('lake', key, body));
  const host = `${azurite.account}.dfs.core.windows.net`;
  return {
    uri: `abfss://lake@${host}/ware house`,
    properties: {
      [`adls.connection-string.${host}`]: `${azurite.url}/${azurite.account}`,
      'adls.auth.shared-key.account.name': azurite.account,
      'adls.auth.shared-key.account.key': `env:${ACCOUNT_KEY}`,
    },
    env: { [ACCOUNT_KEY]: azurite.key },
  };
}

async function google(cleanUp: CleanUp): Promise<Place> {
  const gcs = cleanUp.use(await startFakeGcs());
  await gcs.createBucket('lake');
  await upload((key, body) => gcs.putObject('lake', key, body));
  return {
    uri: 'gs://lake/ware house',
    properties: { 'gcs.service.host': gcs.url, 'gcs.no-auth': 'true' },
    env: {},
  };
}

describe.each([
  ['azure', azure],
  ['google', google],
])('the fixtures in a warehouse on %s', (name, start) => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  const failed = new Map<string, string>();

  beforeAll(async () => {
    const { uri, properties, env } = await start(cleanUp);
    stack = cleanUp.use(await RunningStack.start(env));
    for (const warehouse of WAREHOUSES) {
      const connectorId = await stack.connect(`${name}-${warehouse}`, '', { uri: `${uri}/${warehouse}`, properties });
      const job = await stack.trigger(connectorId);
      for (const { table, code } of await stack.failures(job.jobId)) failed.set(table, code);
    }
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it.each([...truth.keys()])('have %s as the engines report it', async (file) => {
    const table = truth.get(file)!;
    const inFs = file.startsWith('hd.');
    const path = (inFs ? file.slice(3) : file).split('.');
    // In a directory, a missing newest metadata file cannot be detected: the table is read in its previous state.
    if (table.corrupted && table.corrupted !== 'missing_metadata') {
      expect(failed.get(path.join('.'))).toBe('DATA_LOSS');
      return;
    }
    expect(failed.get(path.join('.'))).toBeUndefined();
    if (table.corrupted) return;
    const tableId = await stack.tableId(formatName([`${name}-${inFs ? 'fs' : 'wh'}`, ...path]));
    expect(await differences(stack.catalog, tableId, table)).toEqual([]);
  });

  it('change nothing when they are reconciled again', async () => {
    for (const warehouse of WAREHOUSES) {
      const by = { $case: 'displayName' as const, value: `${name}-${warehouse}` };
      const { connectorId } = await stack.catalog.connectors.getConnector({ by });
      const again = await stack.trigger(connectorId);
      expect(again).toMatchObject({ counters: { tablesChanged: 0n, snapshotsIngested: 0n, filesIngested: 0n } });
    }
  });

  it('are validated', async () => {
    const { code, stdout, stderr } = await stack.cli('connector', 'validate', `${name}-wh`);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/fx\./);
  });
});
