import { z } from 'zod';
import { missingPolicy } from '../../contract/missing-policy.ts';
import { durationSeconds } from '../../durations.ts';
import {
  type BindingsServiceImplementation,
  ObjectKind,
  type UpstreamName,
} from '../../generated/reconciler/internal/v1/bindings.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, invalid } from '../rpc/violations.ts';
import { countBindings, listBindings, lookupBindings, markMissing } from '../store/bindings/bindings.ts';
import { addMarked } from '../store/bindings/missing-share.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { currentClaim } from '../store/database/claim-fence.ts';
import { write } from '../store/database/transaction.ts';
import { createEnsureRpcs } from './ensure-rpcs.ts';
import { createReadBoundTable } from './read-bound-table.ts';

/** The cursor is the upstream name of the last binding of a page. */
const tokens: PageTokens<UpstreamName> = new PageTokens(
  'ListBindings',
  z.object({ namespacePath: z.array(z.string()), name: z.string() }),
);
const MAX_ITEMS = 1000;

/** The service Bindings. */
export function createBindingsService(deps: ServiceDeps): BindingsServiceImplementation {
  const { db, clock } = deps;
  return {
    ...createEnsureRpcs(deps),
    ...createReadBoundTable(deps),

    async lookupBindings({ connectorId, kind, names }) {
      checkRequest(connectorId, kind, 'names', names);
      await getConnector(db, connectorId);
      return { bindings: await lookupBindings(db, kind, connectorId, names) };
    },

    async listBindings(request) {
      const { connectorId, kind, namespacePath: path, formats, missingFor } = request;
      checkRequest(connectorId, kind);
      const size = pageSize(request.pageSize);
      const filter = [connectorId, kind, path, formats, missingFor];
      const after = tokens.decode(request.pageToken, filter);
      await getConnector(db, connectorId);
      const missingBy = missingFor && (await clock.ago(durationSeconds(missingFor) * 1000));
      const { items, last } = await listBindings(db, kind, connectorId, { path, formats, missingBy }, size, after);
      return { bindings: items, nextPageToken: last?.upstream ? tokens.encode(last.upstream, filter) : '' };
    },

    async countBindings({ connectorId, kind, namespacePath: path, formats }) {
      checkRequest(connectorId, kind);
      await getConnector(db, connectorId);
      const { count, checksum } = await countBindings(db, kind, connectorId, { path, formats });
      return { count: BigInt(count), checksum };
    },

    async markMissing({ connectorId, kind, objectIds, shownByMetadata }) {
      checkRequest(connectorId, kind, 'object_ids', objectIds);
      if (shownByMetadata && objectIds.length > 1) throw invalid('shown_by_metadata', 'is allowed only with one id');
      const now = await clock.now();
      const marked = await write(db, async (trx) => {
        const connector = await getConnector(trx, connectorId);
        const count = await markMissing(trx, kind, connectorId, objectIds, now);
        const { maxShare } = missingPolicy(connector);
        const limit = { connectorId, connectorName: connector.displayName, maxShare };
        // Without a claim, no job is known whose share it could be; see `requireClaimOn`.
        if (currentClaim() && !shownByMetadata) await addMarked(trx, limit, kind, count);
        return count;
      });
      return { marked: BigInt(marked) };
    },
  };
}

/** @throws InvalidRequest if a required field is missing or `items` has too many entries */
function checkRequest(connectorId: string, kind: ObjectKind, field = '', items: readonly unknown[] = []): void {
  const checks = new Checks();
  checks.id(connectorId, 'connector_id');
  checks.that(kind !== ObjectKind.OBJECT_KIND_UNSPECIFIED, 'kind', 'is required: TABLE or VIEW');
  checks.list(items, field, MAX_ITEMS);
  checks.done();
}
