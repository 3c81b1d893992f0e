import type { View } from '../../generated/reconciler/v1/views.ts';
import type { Checks } from '../rpc/violations.ts';
import { checkSchema } from './table-checks.ts';

/** The paths of a view that may be updated. */
export const VIEW_MASK = [
  'description',
  'version_id',
  'schema',
  'representations',
  'default_catalog',
  'default_namespace',
  'properties',
  'upstream',
] as const;
export type ViewField = (typeof VIEW_MASK)[number];

const MAX_SQL = 1024 * 1024;

/** Checks the fields of a view that will be stored. */
export function checkView(checks: Checks, view: View, fields: readonly ViewField[]): void {
  const isStored = (field: ViewField) => fields.includes(field);
  if (isStored('description')) checks.text(view.description, 'view.description');
  if (isStored('schema') && view.schema) checkSchema(checks, view.schema, 'view.schema');
  if (isStored('representations')) {
    const dialects = view.representations.map((representation) => representation.dialect.toLowerCase());
    checks.that(new Set(dialects).size === dialects.length, 'view.representations', 'has a duplicate dialect');
    for (const [index, { sql, dialect }] of view.representations.entries()) {
      checks.text(sql, `view.representations[${index}].sql`, { min: 1, max: MAX_SQL });
      checks.text(dialect, `view.representations[${index}].dialect`, { min: 1, max: 100 });
    }
  }
  if (isStored('default_catalog')) checks.text(view.defaultCatalog, 'view.default_catalog', { max: 1024 });
  if (isStored('default_namespace')) checks.path(view.defaultNamespace, 'view.default_namespace', { min: 0 });
  if (isStored('properties')) checks.map(view.properties, 'view.properties');
  if (isStored('upstream') && view.upstream) {
    const { upstream } = view;
    checks.text(upstream.connectorId, 'view.upstream.connector_id', { max: 512 });
    checks.path(upstream.namespacePath, 'view.upstream.namespace_path', { min: 0 });
    checks.name(upstream.tableName, 'view.upstream.table_name');
    checks.text(upstream.uuid, 'view.upstream.uuid', { max: 1024 });
    checks.text(upstream.fingerprint, 'view.upstream.fingerprint', { max: 16 * 1024 });
    checks.timestamp(upstream.fetchedAt, 'view.upstream.fetched_at');
    checks.timestamp(upstream.missingSince, 'view.upstream.missing_since');
  }
  checks.done();
}
