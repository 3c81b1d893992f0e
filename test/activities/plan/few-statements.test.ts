import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import { withClaim } from '../../../src/catalog-client/claim.ts';
import { CodedError } from '../../../src/errors.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { recordStatements } from '../../catalog/statements.ts';
import { SyntheticConnector } from '../../synthetic/synthetic-connector.ts';
import { tableName, writeUpstream } from '../../synthetic/synthetic-upstream.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';

const directory = mkdtempSync(join(tmpdir(), 'statements-'));
let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** Ingests new tables of one snapshot with four files, under a claim. @returns the statements that the catalog executed */
async function ingest(count: number): Promise<string[]> {
  const uri = writeUpstream(join(directory, `${count}.json`), { tables: count, namespaces: 1, files: 4 });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec({ uri }) });
  const runId = `run-of-${count}`;
  const { epoch } = await catalog.claim(connectorId, `job-${count}`, { runId });
  const deps = activityDeps(catalog, new SyntheticConnector(uri, CodedError));
  const tables = Array.from({ length: count }, (_, number) => ({ namespace: ['n0000'], name: tableName(number) }));
  const input = { ...STEP, connectorId, tables, full: false, split: true };
  const end = recordStatements();
  const pack = await withClaim({ connectorId, epoch: Number(epoch), runId }, () =>
    run(() => ingestTables(deps, { ...input, jobId: `job-${count}` } as never)),
  ).finally(end);
  expect(pack).toMatchObject({
    again: [],
    done: count,
    counts: { tablesChanged: count, snapshotsIngested: count, filesIngested: 4 * count },
  });
  return end();
}

it('takes nine statements, four of them for files and one for their number, and one commit per new table of one snapshot with four files', async () => {
  // What the catalog counts at most every ten seconds, for the limits of the tenant, is counted before.
  await ingest(1);
  // What an activity does once is in both.
  const [few, many] = [await ingest(2), await ingest(7)];
  const count = (list: string[], pattern: RegExp) => list.filter((text) => pattern.test(text)).length;
  const perTable = (pattern: RegExp) => (count(many, pattern) - count(few, pattern)) / 5;
  expect({ commits: perTable(/^commit/), begins: perTable(/^begin/), others: perTable(/^(?!commit|begin)/) }).toEqual({
    commits: 1,
    begins: 1,
    others: 9,
  });
});
