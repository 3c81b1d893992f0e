import { expect, it } from '@jest/globals';
import { EncodedChanges } from '../../../src/activities/ingest/ahead/encoded-changes.ts';
import { streamChanges } from '../../../src/activities/ingest/stream-changes.ts';
import type { CatalogClients } from '../../../src/catalog-client/connect.ts';
import type { FileChangeBatch } from '../../../src/formats/table-reader.ts';
import { CommitSnapshotRequest_Header } from '../../../src/generated/reconciler/internal/v1/ingestion.ts';

/** Reads what is sent up to this message, and fails. */
function failingAfter(messages: number): CatalogClients {
  const commitSnapshot = async (sent: AsyncIterable<Uint8Array>) => {
    let count = 0;
    if (messages > 0) for await (const _ of sent) if (++count === messages) break;
    throw new Error('the catalog is away');
  };
  return { fileChanges: { commitSnapshot } } as unknown as CatalogClients;
}

it.each([0, 1, 2])('closes the reader if the catalog fails after %d messages', async (messages) => {
  const read = { began: false, closed: false };
  async function* batches(): AsyncGenerator<FileChangeBatch> {
    read.began = true;
    try {
      for (let position = 1; ; position++) yield { changes: [], position };
    } finally {
      read.closed = true;
    }
  }
  const put = streamChanges({
    deps: { catalog: failingAfter(messages) },
    header: () => CommitSnapshotRequest_Header.create(),
    changes: new EncodedChanges(batches()),
    finish: () => ({ $case: 'changes', value: { changes: [] } }),
    beat() {},
    signal: new AbortController().signal,
    isOver: () => true,
  });
  await expect(put).rejects.toThrow('the catalog is away');
  expect(read.closed).toBe(read.began);
});
