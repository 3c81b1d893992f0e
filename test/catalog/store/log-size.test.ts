import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { added, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

it('the write-ahead log shrinks to a few megabytes after a large ingest, while the service runs', async () => {
  await using catalog = await TestCatalog.start();
  const table = await TestTable.create(catalog);
  const path = (i: number) => `${'long/'.repeat(40)}${i}`;
  const bytes = () => statSync(`${catalog.file}-wal`).size;
  let largest = 0;
  for (let snapshotId = 1; snapshotId <= 3; snapshotId++) {
    const changes = Array.from({ length: 20_000 }, (_, i) => added({ filePath: path(snapshotId * 100_000 + i) }));
    await table.put({ snapshotId, changes });
    largest = Math.max(largest, bytes());
  }
  expect(largest).toBeGreaterThan(8 * 1024 * 1024);
  // The loop ends only if the file shrinks; meanwhile others write a little.
  for (let i = 0; bytes() > 4 * 1024 * 1024; i++) {
    await catalog.clients.catalogs.createCatalog({ catalog: { displayName: `c${i}` } });
    await sleep(50);
  }
  expect(await table.paths(3)).toHaveLength(20_000);
});
