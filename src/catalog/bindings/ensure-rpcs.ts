import type {
  BindingsServiceImplementation,
  EnsureTableRequest,
  EnsureViewRequest,
  UpstreamName,
} from '../../generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks, required } from '../rpc/violations.ts';
import { ensureTable } from '../store/bindings/ensure-table.ts';
import { ensureView } from '../store/bindings/ensure-view.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { transaction } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import { checkSchema, checkSpecs } from '../validation/table-checks.ts';
import { checkView } from '../validation/view-checks.ts';

/** The fields of a view that come from the upstream. */
const VIEW_FIELDS = ['schema', 'representations', 'default_catalog', 'default_namespace', 'properties'] as const;

/** The RPCs EnsureTable and EnsureView of the service Bindings. */
export function createEnsureRpcs({
  db,
  purge,
}: ServiceDeps): Pick<BindingsServiceImplementation, 'ensureTable' | 'ensureView'> {
  return {
    async ensureTable(request) {
      const upstream = required(request.upstream, 'upstream');
      const checks = new Checks();
      checkUpstream(checks, request, upstream);
      checks.id(request.namespaceId, 'namespace_id');
      checks.upstreamName(request.name, 'name');
      checks.that(request.format !== TableFormat.TABLE_FORMAT_UNSPECIFIED, 'format', 'is required: ICEBERG or DELTA');
      checks.text(request.location, 'location', { max: 8192 });
      for (const [index, schema] of request.schemas.entries()) checkSchema(checks, schema, `schemas[${index}]`);
      checkSpecs(checks, request.partitionSpecs, 'partition_specs');
      checks.done();
      const ensured = await transaction(db, request.validateOnly, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const namespace = await getNamespace(trx, request.namespaceId);
        return ensureTable(trx, request, upstream, connector, namespace);
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

function checkUpstream(
  checks: Checks,
  { connectorId, uuid }: EnsureTableRequest | EnsureViewRequest,
  upstream: UpstreamName,
): void {
  checks.id(connectorId, 'connector_id');
  checks.path(upstream.namespacePath, 'upstream.namespace_path', { min: 0, upstream: true });
  checks.upstreamName(upstream.name, 'upstream.name');
  checks.text(uuid, 'uuid', { max: 1024 });
}
