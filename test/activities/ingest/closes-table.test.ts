import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import type { TableReader } from '../../../src/formats/table-reader.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { HistoryUpstream, linear } from '../plan/history-upstream.ts';
import { run, STEP } from '../run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** Notes what is read of a table, and when it is closed. */
class NotingUpstream extends HistoryUpstream {
  readonly notes: string[] = [];

  override async openTable(table: TableRef): Promise<TableReader> {
    const { notes } = this;
    return new Proxy(await super.openTable(table), {
      get(reader, name) {
        const value = Reflect.get(reader, name, reader);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          notes.push(name === Symbol.asyncDispose ? 'closed' : String(name));
          return value.apply(reader, args);
        };
      },
    });
  }
}

it('a table is closed once everything of it was read, since the next large one then gets its memory', async () => {
  const upstream = new NotingUpstream();
  upstream.set(linear(1, 3));
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const table = { namespace: ['n'], name: 't' };

  const outcome = await run(() =>
    ingestTable(activityDeps(catalog, upstream), { ...STEP, connectorId, full: false, split: false, table }),
  );

  expect(outcome.counts.snapshotsIngested).toBe(3);
  expect(upstream.notes.filter((note) => note === 'fileChanges')).toHaveLength(3);
  expect(upstream.notes.indexOf('closed')).toBe(upstream.notes.length - 1);
});
