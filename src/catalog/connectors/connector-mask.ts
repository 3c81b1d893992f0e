import {
  AlertPolicy,
  AuthConfig,
  type Connector,
  DestinationTarget,
  MissingPolicy,
  ReconcilePolicy,
  SourceSelector,
} from '../../generated/reconciler/v1/connectors.ts';

/** The parts of a connector whose fields can be updated individually, each with a function that returns the empty part. */
const PARTS: Record<string, () => object> = {
  source: () => SourceSelector.create(),
  destination: () => DestinationTarget.create(),
  auth: () => AuthConfig.create(),
  policy: () => ReconcilePolicy.create(),
  'policy.missing': () => MissingPolicy.create(),
  alerts: () => AlertPolicy.create(),
};

/** The paths of a connector that may be updated. */
export const CONNECTOR_MASK = [
  'display_name',
  'description',
  'uri',
  'source',
  'source.namespace_path',
  'source.table',
  'source.columns',
  'source.include_namespaces',
  'source.exclude_namespaces',
  'source.include_tables',
  'source.exclude_tables',
  'source.snapshots',
  'destination',
  'destination.catalog_id',
  'destination.catalog_name',
  'destination.namespace_id',
  'destination.namespace_path',
  'destination.table_id',
  'destination.table_name',
  'auth',
  'auth.scheme',
  'auth.secret_ref',
  'auth.header_hints',
  'auth.properties',
  'policy',
  'policy.interval',
  'policy.enabled',
  'policy.max_parallel',
  'policy.not_before',
  'policy.cron',
  'policy.time_zone',
  'policy.jitter',
  'policy.missing',
  'policy.missing.action',
  'policy.missing.drop_after',
  'policy.missing.max_share',
  'policy.mode',
  'policy.task_queue',
  'policy.max_requests_per_second',
  'alerts',
  'alerts.webhook_url',
  'alerts.secret_ref',
  'state',
  'properties',
] as const;

/** The stored connector with the fields of the update that the mask names. */
export function applyConnectorMask(
  stored: Connector,
  update: Connector,
  paths: readonly (typeof CONNECTOR_MASK)[number][],
): Connector {
  let changed = stored as unknown as Fields;
  // Sorted, so that a part is replaced before its fields are.
  for (const path of [...paths].sort()) changed = withField(changed, update as unknown as Fields, path.split('.'));
  return changed as unknown as Connector;
}

type Fields = Record<string, unknown>;

/** @param depth number of path segments down to the field that this call replaces */
function withField(stored: Fields, update: Fields, path: readonly string[], depth = 1): Fields {
  const field = camelCase(path[depth - 1] ?? '');
  if (depth === path.length) return { ...stored, [field]: update[field] };
  const empty = PARTS[path.slice(0, depth).join('.')]?.();
  const part = (fields: Fields) => ({ ...empty, ...(fields[field] as object | undefined) });
  return { ...stored, [field]: withField(part(stored), part(update), path, depth + 1) };
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
