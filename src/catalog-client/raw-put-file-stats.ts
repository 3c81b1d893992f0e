import { PutFileColumnStatsRequest, PutFileColumnStatsResponse } from '../generated/reconciler/v1/statistics.ts';

/** Serializes a header or a finish message. */
export function encodePutRequest(request: NonNullable<PutFileColumnStatsRequest['request']>): Uint8Array {
  return PutFileColumnStatsRequest.encode({ request }).finish();
}

/** Defines PutFileColumnStats with requests that are already serialized. */
export const PutFileChangesDefinition = {
  putFileColumnStats: {
    path: '/reconciler.v1.TableStatistics/PutFileColumnStats',
    requestStream: true,
    responseStream: false,
    requestSerialize: (bytes: Uint8Array) => bytes,
    requestDeserialize: (bytes: Uint8Array) => bytes,
    responseSerialize: (response: PutFileColumnStatsResponse) => PutFileColumnStatsResponse.encode(response).finish(),
    responseDeserialize: (bytes: Uint8Array) => PutFileColumnStatsResponse.decode(bytes),
    options: {},
  },
} as const;
