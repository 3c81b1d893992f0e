import { expect, it } from '@jest/globals';
import { toSnapshotMessage } from '../../../src/activities/ingest/snapshot-message.ts';

it.each([
  ['a time', 1_700_000_000_123, '2023-11-14T22:13:20.123Z'],
  ['the last time of protobuf', 253_402_300_799_999, '9999-12-31T23:59:59.999Z'],
  ['microseconds', 1_700_000_000_000_000, undefined],
  ['the highest long', 2 ** 63, undefined],
  ['a time before 1970', -1, undefined],
  ['the lowest long', -(2 ** 63), undefined],
])('a snapshot with %s is stored', (_, committedAtMs, expected) => {
  const snapshot = { snapshotId: 1n, sequenceNumber: 1, committedAtMs, operation: '', summary: {}, manifestList: '' };
  expect(toSnapshotMessage({ tableId: 'tbl_1', snapshot }, undefined).committedAt?.toISOString()).toBe(expected);
});
