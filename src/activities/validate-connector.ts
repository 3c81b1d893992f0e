import { Connector } from '../generated/reconciler/v1/connectors.ts';
import type { ValidateRequest, ValidateResult } from '../workflows/contract.ts';
import type { ActivityDeps } from './deps.ts';
import { tableText } from './destination.ts';
import { describeError } from './failures.ts';
import { withHeart } from './heart.ts';
import { openSource } from './open-source.ts';
import { walkFrom, walkTables } from './walk-tables.ts';

/** Tables that the answer names. */
const SAMPLE = 20;

/** Opens the upstream, lists one page and says what it found or what is wrong. */
export async function validateConnector(deps: ActivityDeps, request: ValidateRequest): Promise<ValidateResult> {
  const connector = request.connectorId
    ? await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: request.connectorId } })
    : Connector.fromJSON(JSON.parse(request.connectorJson ?? '{}'));
  return withHeart(`Validating ${connector.uri}`, async (heart) => {
    try {
      await using source = await openSource(deps, connector);
      const root = connector.source?.namespacePath ?? [];
      const only = connector.source?.table;
      if (only) {
        const table = { namespace: root, name: only };
        await source.fingerprint(table);
        return { ok: true, summary: `Table ${tableText(table)} is there.`, sampleTables: [tableText(table)] };
      }
      const { tables, cursor } = await walkTables(source, walkFrom(root), SAMPLE, () => heart.beat());
      const sampleTables = tables.map(tableText);
      if (tables.length === 0) {
        const where = root.length > 0 ? `namespace ${root.join('.')} of ${connector.uri}` : connector.uri;
        return {
          ok: false,
          summary: `No table found in ${where}. Check the URI and the source namespace.`,
          sampleTables,
        };
      }
      const more = cursor ? ' or more' : '';
      return { ok: true, summary: `${tables.length}${more} tables found in ${connector.uri}.`, sampleTables };
    } catch (error) {
      heart.signal.throwIfAborted();
      const { code, message } = describeError(error);
      return { ok: false, summary: `${code}: ${message}`, sampleTables: [] };
    }
  });
}
