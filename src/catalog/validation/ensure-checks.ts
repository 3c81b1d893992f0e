import type {
  EnsureTableRequest,
  EnsureViewRequest,
  UpstreamName,
} from '../../generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { Checks, required } from '../rpc/violations.ts';
import { checkSchema, checkSpecs } from './table-checks.ts';

/** @throws InvalidRequest */
export function checkEnsureTable(request: EnsureTableRequest): void {
  const checks = new Checks();
  checkUpstream(checks, request, required(request.upstream, 'upstream'));
  checks.id(request.namespaceId, 'namespace_id');
  checks.upstreamName(request.name, 'name');
  checks.that(request.format !== TableFormat.TABLE_FORMAT_UNSPECIFIED, 'format', 'is required: ICEBERG or DELTA');
  checks.text(request.location, 'location', { max: 8192 });
  for (const [index, schema] of request.schemas.entries()) checkSchema(checks, schema, `schemas[${index}]`);
  checkSpecs(checks, request.partitionSpecs, 'partition_specs');
  if (request.tableId !== '') checks.id(request.tableId, 'table_id');
  checks.done();
}

export function checkUpstream(
  checks: Checks,
  { connectorId, uuid }: EnsureTableRequest | EnsureViewRequest,
  upstream: UpstreamName,
): void {
  checks.id(connectorId, 'connector_id');
  checks.path(upstream.namespacePath, 'upstream.namespace_path', { min: 0, upstream: true });
  checks.upstreamName(upstream.name, 'upstream.name');
  checks.text(uuid, 'uuid', { max: 1024 });
}
