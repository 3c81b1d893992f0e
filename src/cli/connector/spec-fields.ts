import { toDuration } from '../../durations.ts';
import {
  AuthScheme,
  type Connector,
  type ConnectorKind,
  connectorKindFromJSON,
  type DeepPartial,
  MissingAction,
} from '../../generated/reconciler/v1/connectors.ts';
import { parseName } from '../../names.ts';
import { type CaptureFlags, captureModeFromFlag, snapshotsOf } from './capture-flags.ts';

/** Values of the options that describe a connector. */
export interface SpecOptions extends CaptureFlags {
  description?: string;
  kind?: string;
  uri?: string;
  sourceNamespace?: string;
  sourceTable?: string;
  sourceColumns?: string[];
  includeNamespaces?: string[];
  excludeNamespaces?: string[];
  includeTables?: string[];
  excludeTables?: string[];
  destinationCatalog?: string;
  destinationNamespace?: string;
  destinationTable?: string;
  authScheme?: string;
  secretRef?: string;
  authProperty?: Record<string, string>;
  header?: Record<string, string>;
  maxParallel?: number;
  maxRequestsPerSecond?: number;
  interval?: number;
  cron?: string[];
  timeZone?: string;
  jitter?: number;
  notBefore?: Date;
  missing?: string;
  dropAfter?: number;
  missingMaxShare?: number;
  schedule?: boolean;
  taskQueue?: string;
  webhook?: string;
  webhookSecret?: string;
  property?: Record<string, string>;
}

/** What the values of the options say about one field of a connector. */
interface SpecField {
  /** Path of the field, as in an update mask. */
  path: string;
  /** The options that set it, without dashes: the keys of a file for `apply`. */
  keys: string[];
  /** The field's value; undefined if no option sets it. */
  value(options: SpecOptions): unknown;
}

export const MISSING = {
  keep: MissingAction.MISSING_ACTION_KEEP,
  mark: MissingAction.MISSING_ACTION_MARK,
  drop: MissingAction.MISSING_ACTION_DROP,
};

const field = (path: string, keys: string | string[], value: SpecField['value']): SpecField => ({
  path,
  keys: typeof keys === 'string' ? [keys] : keys,
  value,
});

export const SPEC_FIELDS: readonly SpecField[] = [
  field('description', 'description', (o) => o.description),
  field('uri', 'uri', (o) => o.uri),
  field('source.namespace_path', 'source-namespace', (o) => name(o.sourceNamespace)),
  field('source.table', 'source-table', (o) => o.sourceTable),
  field('source.columns', 'source-columns', (o) => o.sourceColumns),
  field('source.include_namespaces', 'include-namespaces', (o) => o.includeNamespaces),
  field('source.exclude_namespaces', 'exclude-namespaces', (o) => o.excludeNamespaces),
  field('source.include_tables', 'include-tables', (o) => o.includeTables),
  field('source.exclude_tables', 'exclude-tables', (o) => o.excludeTables),
  field('source.snapshots', ['snapshots', 'branches'], snapshotsOf),
  field('policy.mode', 'mode', captureModeFromFlag),
  field('destination.catalog_name', 'destination-catalog', (o) => o.destinationCatalog),
  field('destination.namespace_path', 'destination-namespace', (o) => name(o.destinationNamespace)),
  field('destination.table_name', 'destination-table', (o) => o.destinationTable),
  field(
    'auth.scheme',
    'auth-scheme',
    ({ authScheme }) => authScheme && AuthScheme[`AUTH_SCHEME_${authScheme.toUpperCase()}` as keyof typeof AuthScheme],
  ),
  field('auth.secret_ref', 'secret-ref', (o) => o.secretRef),
  field('auth.properties', 'auth-property', (o) => o.authProperty),
  field('auth.header_hints', 'header', (o) => o.header),
  field('policy.max_parallel', 'max-parallel', (o) => o.maxParallel),
  field('policy.max_requests_per_second', 'max-requests-per-second', (o) => o.maxRequestsPerSecond),
  // An interval replaces the calendar, and the other way round.
  field('policy.interval', 'interval', (o) => duration(o.interval ?? (calendarOf(o)?.length ? 0 : undefined))),
  field('policy.cron', 'cron', (o) => calendarOf(o) ?? (o.interval ? [] : undefined)),
  field('policy.time_zone', 'time-zone', (o) => o.timeZone),
  field('policy.jitter', 'jitter', (o) => duration(o.jitter)),
  field('policy.not_before', 'not-before', (o) => o.notBefore),
  field('policy.enabled', 'schedule', (o) => o.schedule ?? isScheduled(o)),
  field('policy.task_queue', 'task-queue', (o) => o.taskQueue),
  field('policy.missing.action', 'missing', ({ missing }) => missing && MISSING[missing as keyof typeof MISSING]),
  field('policy.missing.drop_after', 'drop-after', (o) => duration(o.dropAfter)),
  field('policy.missing.max_share', 'missing-max-share', (o) => o.missingMaxShare),
  field('alerts.webhook_url', 'webhook', (o) => o.webhook),
  field('alerts.secret_ref', 'webhook-secret', (o) => o.webhookSecret),
  field('properties', 'property', (o) => o.property),
];

/** The fields of a connector, and their paths. */
export interface SpecFields {
  connector: DeepPartial<Connector>;
  paths: string[];
}

/**
 * The connector that the options describe, and the paths of the fields that were set, for an update mask.
 *
 * @throws CodedError INVALID_ARGUMENT if a name does not parse.
 */
export function specOf(options: SpecOptions): SpecFields {
  const connector: Record<string, unknown> = { ...(options.kind && { kind: kindOf(options.kind) }) };
  const paths: string[] = [];
  for (const { path, value: read } of SPEC_FIELDS) {
    const value = read(options);
    if (value === undefined) continue;
    paths.push(path);
    const keys = path.split('.').map(camel);
    let part = connector;
    for (const key of keys.slice(0, -1)) {
      part[key] ??= {};
      part = part[key] as Record<string, unknown>;
    }
    part[keys.at(-1) ?? ''] = value;
  }
  return { connector: connector as DeepPartial<Connector>, paths };
}

/** An empty name clears the field. */
function name(text: string | undefined): string[] | undefined {
  return text === '' ? [] : text === undefined ? undefined : parseName(text);
}

/** An empty expression clears the calendar. */
const calendarOf = ({ cron }: SpecOptions) => cron?.filter((expression) => expression !== '');

function isScheduled(options: SpecOptions): boolean | undefined {
  const cron = calendarOf(options);
  return cron || options.interval !== undefined ? Boolean(cron?.length || options.interval) : undefined;
}

const duration = (seconds: number | undefined) => (seconds === undefined ? undefined : toDuration(seconds));

const camel = (field: string) => field.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function kindOf(text: string): ConnectorKind {
  return connectorKindFromJSON(`CONNECTOR_KIND_${text.toUpperCase()}`);
}
