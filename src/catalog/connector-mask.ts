import {
  AlertPolicy,
  AuthConfig,
  type Connector,
  DestinationTarget,
  ReconcilePolicy,
  SourceSelector,
} from '../generated/reconciler/v1/connectors.ts';

/** The parts of a connector whose fields can be updated one by one, and what they are without any. */
const PARTS = {
  source: () => SourceSelector.create(),
  destination: () => DestinationTarget.create(),
  auth: () => AuthConfig.create(),
  policy: () => ReconcilePolicy.create(),
  alerts: () => AlertPolicy.create(),
};

/** What of a connector may be updated. */
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
  'policy.interval_seconds',
  'policy.enabled',
  'policy.max_parallel',
  'policy.not_before',
  'policy.cron',
  'policy.time_zone',
  'policy.jitter_seconds',
  'policy.missing',
  'policy.mode',
  'policy.task_queue',
  'policy.max_requests_per_second',
  'alerts',
  'alerts.webhook_url',
  'alerts.secret_ref',
  'state',
  'properties',
] as const;

/** The stored connector with the fields of the mask from the given one. */
export function applyConnectorMask(
  stored: Connector,
  given: Connector,
  paths: readonly (typeof CONNECTOR_MASK)[number][],
): Connector {
  const changed = { ...stored } as Record<string, unknown>;
  // A whole part before its fields, whatever the order of the mask.
  for (const path of [...paths].sort()) {
    const [part = '', field] = path.split('.').map(camelCase);
    if (field === undefined) {
      changed[part] = (given as unknown as Record<string, unknown>)[part];
      continue;
    }
    const empty = PARTS[part as keyof typeof PARTS]();
    const from = { ...empty, ...(given[part as keyof Connector] as object | undefined) } as Record<string, unknown>;
    changed[part] = { ...empty, ...(changed[part] as object | undefined), [field]: from[field] };
  }
  return changed as unknown as Connector;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
