import { CommitSnapshotRequest, CommitSnapshotResponse } from '../generated/reconciler/internal/v1/ingestion.ts';

/** Serializes a header or a finish message. */
export function encodeCommitRequest(request: NonNullable<CommitSnapshotRequest['request']>): Uint8Array {
  return CommitSnapshotRequest.encode({ request }).finish();
}

/** A request without effect, which keeps a call alive. */
export const NO_CHANGES = encodeCommitRequest({ $case: 'changes', value: { changes: [] } });

/** Defines Ingestion.CommitSnapshot with requests that are already serialized. */
export const RawCommitSnapshotDefinition = {
  commitSnapshot: {
    path: '/reconciler.internal.v1.Ingestion/CommitSnapshot',
    requestStream: true,
    responseStream: false,
    requestSerialize: (bytes: Uint8Array) => bytes,
    requestDeserialize: (bytes: Uint8Array) => bytes,
    responseSerialize: (response: CommitSnapshotResponse) => CommitSnapshotResponse.encode(response).finish(),
    responseDeserialize: (bytes: Uint8Array) => CommitSnapshotResponse.decode(bytes),
    options: {},
  },
} as const;
