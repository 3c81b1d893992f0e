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
  if (isStored('default_namespace'))
    checks.path(view.defaultNamespace, 'view.default_namespace', { min: 0, upstream: true });
  checks.done();
}
