import type { BindingsServiceImplementation } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks, required } from '../rpc/violations.ts';
import { ensureTable, reserveTable } from '../store/bindings/ensure-table.ts';
import { ensureView } from '../store/bindings/ensure-view.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { transaction } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import { checkEnsureTable, checkUpstream } from '../validation/ensure-checks.ts';
import { checkView } from '../validation/view-checks.ts';

/** The fields of a view that come from the upstream. */
const VIEW_FIELDS = ['schema', 'representations', 'default_catalog', 'default_namespace', 'properties'] as const;

/** The RPCs EnsureTable and EnsureView of the service Bindings. */
export function createEnsureRpcs({
  db,
  purge,
  limits,
}: ServiceDeps): Pick<BindingsServiceImplementation, 'ensureTable' | 'ensureView'> {
  return {
    async ensureTable(request) {
      checkEnsureTable(request);
      const reserved = request.reserveIfNew ? await reserveTable(db, request) : undefined;
      const excess = await limits.excess('tables');
      if (reserved && excess) throw excess;
      if (reserved) return reserved;
      const ensured = await transaction(db, request.validateOnly, async (trx) => {
        const ensured = await ensureTable(trx, request);
        if (ensured.made && excess) throw excess;
        return ensured;
      });
      if (ensured.emptied && !request.validateOnly) purge();
      return ensured;
    },

    async ensureView(request) {
      const upstream = required(request.upstream, 'upstream');
      const view = required(request.view, 'view');
      const checks = new Checks();
      checkUpstream(checks, request, upstream);
      checks.text(request.fingerprint, 'fingerprint', { max: 16 * 1024 });
      checks.id(view.namespaceId, 'view.namespace_id');
      checks.upstreamName(view.name, 'view.name');
      checkView(checks, view, VIEW_FIELDS);
      const { emptied, ...ensured } = await transaction(db, request.validateOnly, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const namespace = await getNamespace(trx, view.namespaceId);
        return ensureView(trx, request, view, upstream, connector, namespace);
      });
      if (emptied && !request.validateOnly) purge();
      return ensured;
    },
  };
}
