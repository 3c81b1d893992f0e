import { SearchAttributeType } from '@temporalio/common';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../../src/contract/search-attributes.ts';
import { ReconcileEnvironment } from '../../workflows/reconcile/reconcile-environment.ts';
import { startTemporalTestServer } from '../servers/temporal-test-server.ts';

const { INDEXED_VALUE_TYPE_BOOL, INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;
const TYPES = {
  [SearchAttributeType.KEYWORD]: INDEXED_VALUE_TYPE_KEYWORD,
  [SearchAttributeType.BOOL]: INDEXED_VALUE_TYPE_BOOL,
};

/**
 * The built workflows with stub activities on a server that skips time: to the next timer while a test waits for a result, and by `sleep`.
 * Time stands still while an activity runs.
 */
export async function startTimeSkipping(): Promise<ReconcileEnvironment> {
  const temporal = await startTemporalTestServer();
  const types = Object.values(SEARCH_ATTRIBUTES).map(({ name, type }) => [name, TYPES[type]]);
  await temporal.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: Object.fromEntries(types),
  });
  return ReconcileEnvironment.on(temporal);
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
