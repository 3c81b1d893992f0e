import { MAX_PARALLEL } from '../../contract/job.ts';
import { TASK_QUEUE } from '../../contract/names.ts';
import { durationSeconds, durationText } from '../../durations.ts';
import {
  AuthScheme,
  Connector,
  ConnectorKind,
  type MissingPolicy,
  type ReconcilePolicy,
} from '../../generated/reconciler/v1/connectors.ts';
import { parsePattern } from '../../name-patterns.ts';
import { isPlainSecret, isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import {
  footersEnabled,
  InvalidProperty,
  ndvOptions,
  unknownStatisticsOption,
} from '../../stats/statistics-options.ts';
import { parseCron } from '../../temporal/cron.ts';
import { truncate } from '../../text.ts';
import { Checks } from '../rpc/violations.ts';
import { checkAlerts } from './alert-checks.ts';
import { checkSelection } from './selection-checks.ts';
import { isTimeZone } from './time-zone.ts';

/** The longest display name of a connector, in characters. */
export const MAX_CONNECTOR_NAME = 128;
/** A year. No longer interval is useful. */
const MAX_INTERVAL_SECONDS = 366 * 24 * 3600;
/** A lower limit would allow less than one request in 100 seconds; a higher one would limit nothing. */
const REQUESTS_PER_SECOND = { min: 0.01, max: 100_000 };
/** A hundred years, so that times stay within the range of a Date. */
const MAX_DROP_AFTER_SECONDS = 100 * MAX_INTERVAL_SECONDS;
const MAX_CRON = 20;
const MAX_CRON_LENGTH = 1000;
const MAX_JITTER_SECONDS = 24 * 3600;
const MAX_COLUMNS = 10_000;
const MAX_PATTERNS = 1_000;
const MAX_TASK_QUEUE = 255;

/** Where folders can be. The other names of Azure's scheme are Hadoop's and older. */
const FOLDER_SCHEMES = ['file', 's3', 's3a', 's3n', 'abfss', 'abfs', 'wasbs', 'wasb', 'gs'];
const AZURE_SCHEMES = ['abfss', 'abfs', 'wasbs', 'wasb'];

const SCHEMES: Record<ConnectorKind, readonly string[]> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: [],
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: [...FOLDER_SCHEMES, 'http', 'https'],
  [ConnectorKind.CONNECTOR_KIND_DELTA]: FOLDER_SCHEMES,
  [ConnectorKind.CONNECTOR_KIND_GLUE]: ['glue', 'http', 'https'],
  [ConnectorKind.CONNECTOR_KIND_UNITY]: ['http', 'https'],
};

const EXAMPLES: Record<ConnectorKind, string> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: 'file:///warehouse',
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]:
    'file:///warehouse, s3://bucket/warehouse, abfss://container@account.dfs.core.windows.net/warehouse, gs://bucket/warehouse or https://catalog.example.com',
  [ConnectorKind.CONNECTOR_KIND_DELTA]: 'file:///warehouse or s3://bucket/warehouse',
  [ConnectorKind.CONNECTOR_KIND_GLUE]: 'glue://eu-west-1',
  [ConnectorKind.CONNECTOR_KIND_UNITY]: 'https://dbc-1234.cloud.databricks.com',
};

const { AUTH_SCHEME_NONE, AUTH_SCHEME_BEARER, AUTH_SCHEME_OAUTH2, AUTH_SCHEME_SIGV4, AUTH_SCHEME_AWS } = AuthScheme;
const HTTP_SCHEMES = [AUTH_SCHEME_NONE, AUTH_SCHEME_BEARER, AUTH_SCHEME_OAUTH2, AUTH_SCHEME_SIGV4];
/** The schemes that each kind of connector supports. */
const AUTH_SCHEMES: Record<ConnectorKind, readonly AuthScheme[]> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: [],
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: HTTP_SCHEMES,
  [ConnectorKind.CONNECTOR_KIND_DELTA]: HTTP_SCHEMES,
  [ConnectorKind.CONNECTOR_KIND_GLUE]: [AUTH_SCHEME_NONE, AUTH_SCHEME_AWS, AUTH_SCHEME_SIGV4],
  [ConnectorKind.CONNECTOR_KIND_UNITY]: [AUTH_SCHEME_NONE, AUTH_SCHEME_BEARER, AUTH_SCHEME_OAUTH2],
};

/**
 * Checks a connector as a whole, because its parts depend on each other.
 *
 * @param at the path of the connector in the request
 * @throws InvalidRequest with everything that is wrong. Its messages never repeat a value that may be a secret.
 */
export function checkConnector(connector: Connector, at = 'connector'): void {
  const checks = new Checks();
  checks.name(connector.displayName, `${at}.display_name`, MAX_CONNECTOR_NAME);
  checks.text(connector.description, `${at}.description`);
  if (connector.managedBy !== '') checks.name(connector.managedBy, `${at}.managed_by`, MAX_CONNECTOR_NAME);
  const hasKind = connector.kind !== ConnectorKind.CONNECTOR_KIND_UNSPECIFIED;
  if (checks.that(hasKind, `${at}.kind`, 'is required: ICEBERG, DELTA, GLUE or UNITY')) {
    checkUri(checks, connector.uri, connector.kind, `${at}.uri`);
  }
  checkSource(checks, connector, at);
  checkDestination(checks, connector, at);
  checkAuth(checks, connector, at);
  checkPolicy(checks, connector, at);
  checkAlerts(checks, connector.alerts, `${at}.alerts`);
  checkOptions(checks, connector.properties, `${at}.properties`);
  checkStatistics(checks, connector.properties, `${at}.properties`);
  checks.size(Connector.encode(connector).finish(), at);
  checks.done();
}

function checkUri(checks: Checks, uri: string, kind: ConnectorKind, field: string): void {
  // Without a URI, Glue's endpoint follows from the region.
  if (uri === '' && kind === ConnectorKind.CONNECTOR_KIND_GLUE) return;
  if (!checks.text(uri, field, { min: 1, max: 4096 })) return;
  const schemes = SCHEMES[kind];
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    checks.that(false, field, `is not a URI: give one such as ${EXAMPLES[kind]}`);
    return;
  }
  const scheme = url.protocol.slice(0, -1);
  checks.that(
    schemes.includes(scheme),
    field,
    `has the scheme '${scheme}', but this kind supports ${schemes.join(', ')}`,
  );
  if (scheme === 'glue') {
    checks.that(
      /^glue:(\/\/([a-z]{2,}(-[a-z]+)+-\d+)?\/?)?$/i.test(uri),
      field,
      "does not name an AWS region: give glue://eu-west-1, or glue:// for the region in the worker's settings",
    );
  } else if (scheme === 'file') {
    const local = url.host === '' || url.host === 'localhost';
    checks.that(local && /^file:\/\//.test(uri), field, 'is not an absolute path on this machine: give file:///path');
  } else {
    checks.that(url.host !== '', field, 'has no host or bucket');
  }
  // The container is where other URIs have a user.
  checks.that(
    (url.username === '' || AZURE_SCHEMES.includes(scheme)) && url.password === '',
    field,
    'contains a user or password: give them as a reference in auth.secret_ref',
  );
  for (const [key, value] of url.searchParams) {
    checks.that(
      !isPlainSecret(key, value),
      field,
      `contains a secret in '${key}': give it as a reference (${REFERENCE_FORM})`,
    );
  }
}

function checkSource(checks: Checks, { source }: Connector, at: string): void {
  if (!source) return;
  checks.path(source.namespacePath, `${at}.source.namespace_path`, { min: 0, upstream: true });
  if (source.table !== '') {
    checks.upstreamName(source.table, `${at}.source.table`);
    checks.that(source.namespacePath.length > 0, `${at}.source.namespace_path`, 'is required if source.table is set');
  }
  checkColumns(checks, source.columns, `${at}.source.columns`);
  checkPatterns(checks, source.includeNamespaces, `${at}.source.include_namespaces`);
  checkPatterns(checks, source.excludeNamespaces, `${at}.source.exclude_namespaces`);
  checkPatterns(checks, source.includeTables, `${at}.source.include_tables`);
  checkPatterns(checks, source.excludeTables, `${at}.source.exclude_tables`);
  checkSelection(checks, source.snapshots, `${at}.source.snapshots`);
}

function checkPatterns(checks: Checks, patterns: readonly string[], field: string): void {
  checks.list(patterns, field, MAX_PATTERNS);
  for (const [index, pattern] of patterns.slice(0, MAX_PATTERNS).entries()) {
    if (!checks.text(pattern, `${field}[${index}]`, { min: 1, max: 1024 })) continue;
    try {
      parsePattern(pattern);
    } catch (error) {
      checks.that(false, `${field}[${index}]`, (error as Error).message);
    }
  }
}

/** Checks column selectors: names, dotted paths or `#id`. Only a job can check whether the columns of each table exist. */
export function checkColumns(checks: Checks, columns: readonly string[], field: string): void {
  checks.list(columns, field, MAX_COLUMNS);
  for (const [index, column] of columns.entries()) checks.text(column, `${field}[${index}]`, { min: 1, max: 1024 });
}

function checkDestination(checks: Checks, { destination, source }: Connector, at: string): void {
  if (!destination) return;
  const field = `${at}.destination`;
  checks.text(destination.catalogId, `${field}.catalog_id`, { max: 512 });
  if (destination.catalogName !== '') checks.name(destination.catalogName, `${field}.catalog_name`, 255);
  checks.text(destination.namespaceId, `${field}.namespace_id`, { max: 512 });
  checks.path(destination.namespacePath, `${field}.namespace_path`, { min: 0 });
  checks.text(destination.tableId, `${field}.table_id`, { max: 512 });
  if (destination.tableName !== '') checks.name(destination.tableName, `${field}.table_name`);
  const oneTable = (source?.table ?? '') !== '';
  const why = 'is for a single table, but the source may select several: set source.table too';
  checks.that(oneTable || destination.tableName === '', `${field}.table_name`, why);
  checks.that(oneTable || destination.tableId === '', `${field}.table_id`, why);
}

/** For example `OAUTH2`. */
const schemeName = (scheme: AuthScheme) => scheme.replace('AUTH_SCHEME_', '');

function checkAuth(checks: Checks, { auth, kind }: Connector, at: string): void {
  if (!auth) return;
  const field = `${at}.auth`;
  const schemes = AUTH_SCHEMES[kind];
  const isDefault = auth.scheme === AuthScheme.AUTH_SCHEME_UNSPECIFIED;
  checks.that(
    isDefault || schemes.length === 0 || schemes.includes(auth.scheme),
    `${field}.scheme`,
    `${schemeName(auth.scheme)} is not supported by this kind: give ${schemes.map(schemeName).join(', ')}, or leave it out`,
  );
  checks.that(
    auth.secretRef === '' || isSecretReference(auth.secretRef),
    `${field}.secret_ref`,
    `is not a reference: give ${REFERENCE_FORM}, never the secret itself`,
  );
  checkOptions(checks, auth.headerHints, `${field}.header_hints`);
  checkOptions(checks, auth.properties, `${field}.properties`);
}

function checkPolicy(checks: Checks, { policy }: Connector, at: string): void {
  if (!policy) return;
  const { maxParallel } = policy;
  const interval = durationSeconds(policy.interval);
  checks.that(
    interval >= 0 && interval <= MAX_INTERVAL_SECONDS,
    `${at}.policy.interval`,
    `${durationText(interval)} is not between 0 and ${durationText(MAX_INTERVAL_SECONDS)}`,
  );
  checks.that(
    maxParallel >= 0 && maxParallel <= MAX_PARALLEL,
    `${at}.policy.max_parallel`,
    `${maxParallel} is not between 0 and ${MAX_PARALLEL}`,
  );
  const { min, max } = REQUESTS_PER_SECOND;
  const limit = policy.maxRequestsPerSecond;
  checks.that(
    limit === 0 || (limit >= min && limit <= max),
    `${at}.policy.max_requests_per_second`,
    `${limit} is neither 0 nor between ${min} and ${max}`,
  );
  checkCalendar(checks, policy, `${at}.policy`);
  checks.timestamp(policy.notBefore, `${at}.policy.not_before`);
  checkMissing(checks, policy.missing, `${at}.policy.missing`);
  checkTaskQueue(checks, policy.taskQueue, `${at}.policy.task_queue`);
}

/** Checked here because Temporal reports errors only when the schedule is created, after the connector was stored. */
function checkCalendar(checks: Checks, policy: ReconcilePolicy, at: string): void {
  const { cron, timeZone } = policy;
  const [interval, jitter] = [durationSeconds(policy.interval), durationSeconds(policy.jitter)];
  const both = 'and policy.interval are both set: give only one of them';
  checks.that(cron.length === 0 || interval === 0, `${at}.cron`, both);
  checks.list(cron, `${at}.cron`, MAX_CRON);
  for (const [index, expression] of cron.slice(0, MAX_CRON).entries()) {
    // No useful one is longer, and lists of schedules contain it.
    if (!checks.text(expression, `${at}.cron[${index}]`, { max: MAX_CRON_LENGTH })) continue;
    try {
      parseCron(expression);
    } catch (error) {
      checks.that(false, `${at}.cron[${index}]`, (error as Error).message);
    }
  }
  checks.that(
    timeZone === '' || isTimeZone(timeZone),
    `${at}.time_zone`,
    `'${truncate(timeZone, 100)}' is not an IANA name such as Europe/Vienna`,
  );
  const maxJitter = interval > 0 ? Math.min(interval, MAX_JITTER_SECONDS) : MAX_JITTER_SECONDS;
  checks.that(
    jitter >= 0 && jitter <= maxJitter,
    `${at}.jitter`,
    `${durationText(jitter)} is not between 0 and ${durationText(maxJitter)} (at most a day, and at most the interval)`,
  );
}

function checkTaskQueue(checks: Checks, name: string, field: string): void {
  if (name === '' || !checks.name(name, field, MAX_TASK_QUEUE)) return;
  checks.that(
    !name.startsWith('/'),
    field,
    `'${name}' starts with '/': such names are reserved for Temporal's own queues`,
  );
  checks.that(name !== TASK_QUEUE, field, `'${name}' is the task queue of workflows: choose another name`);
}

function checkMissing(checks: Checks, missing: MissingPolicy | undefined, field: string): void {
  if (!missing) return;
  const { maxShare: share = 0 } = missing;
  const after = durationSeconds(missing.dropAfter);
  checks.that(
    after >= 0 && after <= MAX_DROP_AFTER_SECONDS,
    `${field}.drop_after`,
    `${durationText(after)} is not between 0 and ${durationText(MAX_DROP_AFTER_SECONDS)}`,
  );
  checks.that(share >= 0 && share <= 1, `${field}.max_share`, `${share} is not between 0 and 1`);
}

function checkOptions(checks: Checks, options: { [key: string]: string }, field: string): void {
  checks.map(options, field);
  for (const [key, value] of Object.entries(options)) {
    checks.that(
      !isPlainSecret(key, value),
      `${field}[${key.slice(0, 100)}]`,
      `contains a secret, which the catalog does not store: give a reference instead (${REFERENCE_FORM})`,
    );
  }
}

/** Checked here because an invalid option would fail every table of every job. */
function checkStatistics(checks: Checks, properties: { [key: string]: string }, field: string): void {
  const unknown = unknownStatisticsOption(properties);
  if (unknown) checks.that(false, `${field}[${unknown.property.slice(0, 100)}]`, unknown.problem);
  for (const read of [ndvOptions, footersEnabled]) {
    try {
      read(properties);
    } catch (error) {
      if (!(error instanceof InvalidProperty)) throw error;
      checks.that(false, `${field}[${error.property}]`, error.problem);
    }
  }
}
