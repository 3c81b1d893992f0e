import { expect, it } from '@jest/globals';
import { openFixture, truths } from './fixtures.ts';

/** The table with the most snapshots. */
const [[NAME]] = truths()
  .filter(([, { corrupted }]) => corrupted === undefined)
  .sort(([, a], [, b]) => b.snapshots.length - a.snapshots.length) as [[string, unknown]];

it('has the id and parent of every snapshot, and describes only those that are requested, in the same order', async () => {
  await using reader = await openFixture(NAME);
  const { bytesRead } = reader;
  const history = [...reader.history()].map(({ snapshotId }) => snapshotId);
  expect(reader.bytesRead).toBe(bytesRead);
  expect(history.length).toBeGreaterThan(3);

  const all = [];
  for await (const { snapshotId, parentSnapshotId } of reader.snapshots()) all.push({ snapshotId, parentSnapshotId });
  expect(all.map(({ snapshotId }) => snapshotId)).toEqual(history);
  const parents = [...reader.history()].map(({ parentSnapshotId }) => parentSnapshotId);
  expect(all.map(({ parentSnapshotId }) => parentSnapshotId)).toEqual(parents);

  const requested = new Set([history.at(-1), history[1]] as bigint[]);
  const described = [];
  for await (const { snapshotId } of reader.snapshots(requested)) described.push(snapshotId);
  expect(described).toEqual([history[1], history.at(-1)]);
});
