import { TASK_QUEUE } from '../../contract/names.ts';
import { durationSeconds } from '../../durations.ts';
import {
  AuthScheme,
  type Connector,
  ConnectorKind,
  type MissingPolicy,
  type ReconcilePolicy,
} from '../../generated/reconciler/v1/connectors.ts';
import { parsePattern } from '../../name-patterns.ts';
import { isPlainSecret, isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import { footersEnabled, ndvOptions } from '../../stats/statistics-options.ts';
import { parseCron } from '../../temporal/cron.ts';
import { Checks } from '../rpc/violations.ts';
import { checkAlerts } from './alert-checks.ts';
import { checkSelection } from './selection-checks.ts';
import { isTimeZone } from './time-zone.ts';

/** The longest display name of a connector. */
export const MAX_CONNECTOR_NAME = 128;
/** Temporal schedules seconds; a year is more than anybody means. */
const MAX_INTERVAL_SECONDS = 366 * 24 * 3600;
const MAX_PARALLEL = 64;
/** Fewer would be one in minutes, more is no cap. */
const REQUESTS_PER_SECOND = { min: 0.01, max: 100_000 };
/** A hundred years: times in milliseconds stay far from the end of what a Date holds. */
const MAX_DROP_AFTER_SECONDS = 100 * MAX_INTERVAL_SECONDS;
const MAX_CRON = 20;
const MAX_JITTER_SECONDS = 24 * 3600;
const MAX_COLUMNS = 10_000;
const MAX_PATTERNS = 1_000;
const MAX_TASK_QUEUE = 255;

const SCHEMES: Record<ConnectorKind, readonly string[]> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: [],
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: ['file', 's3', 's3a', 's3n', 'http', 'https'],
  [ConnectorKind.CONNECTOR_KIND_DELTA]: ['file', 's3', 's3a', 's3n', 'http', 'https'],
  [ConnectorKind.CONNECTOR_KIND_GLUE]: ['glue', 'http', 'https'],
  [ConnectorKind.CONNECTOR_KIND_UNITY]: ['http', 'https'],
};

const EXAMPLES: Record<ConnectorKind, string> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: 'file:///warehouse',
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: 'file:///warehouse, s3://bucket/warehouse or https://catalog.example.com',
  [ConnectorKind.CONNECTOR_KIND_DELTA]: 'file:///warehouse',
  [ConnectorKind.CONNECTOR_KIND_GLUE]: 'glue://eu-west-1',
  [ConnectorKind.CONNECTOR_KIND_UNITY]: 'https://host',
};

/** What a connector may say of how it authenticates; nothing leaves it to the kind. */
const { AUTH_SCHEME_NONE, AUTH_SCHEME_BEARER, AUTH_SCHEME_OAUTH2, AUTH_SCHEME_SIGV4, AUTH_SCHEME_AWS } = AuthScheme;
const HTTP_SCHEMES = [AUTH_SCHEME_NONE, AUTH_SCHEME_BEARER, AUTH_SCHEME_OAUTH2, AUTH_SCHEME_SIGV4];
const AUTH_SCHEMES: Record<ConnectorKind, readonly AuthScheme[]> = {
  [ConnectorKind.CONNECTOR_KIND_UNSPECIFIED]: [],
  [ConnectorKind.CONNECTOR_KIND_ICEBERG]: HTTP_SCHEMES,
  [ConnectorKind.CONNECTOR_KIND_DELTA]: HTTP_SCHEMES,
  [ConnectorKind.CONNECTOR_KIND_GLUE]: [AUTH_SCHEME_NONE, AUTH_SCHEME_AWS, AUTH_SCHEME_SIGV4],
  [ConnectorKind.CONNECTOR_KIND_UNITY]: HTTP_SCHEMES,
};

/**
 * Checks a connector as a whole: its parts depend on each other.
 *
 * @param at the connector's field in the request
 * @throws InvalidRequest with everything that is wrong. It never repeats a value that may be a secret.
 */
export function checkConnector(connector: Connector, at = 'connector'): void {
  const checks = new Checks();
  checks.name(connector.displayName, `${at}.display_name`, MAX_CONNECTOR_NAME);
  checks.text(connector.description, `${at}.description`);
  const kindGiven = connector.kind !== ConnectorKind.CONNECTOR_KIND_UNSPECIFIED;
  if (checks.that(kindGiven, `${at}.kind`, 'is required: ICEBERG, DELTA, GLUE or UNITY')) {
    checkUri(checks, connector.uri, connector.kind, `${at}.uri`);
  }
  checkSource(checks, connector, at);
  checkDestination(checks, connector, at);
  checkAuth(checks, connector, at);
  checkPolicy(checks, connector, at);
  checkAlerts(checks, connector.alerts, `${at}.alerts`);
  checkOptions(checks, connector.properties, `${at}.properties`);
  checkStatistics(checks, connector.properties, `${at}.properties`);
  checks.done();
}

function checkUri(checks: Checks, uri: string, kind: ConnectorKind, field: string): void {
  // Glue is found by its region where no address is given.
  if (uri === '' && kind === ConnectorKind.CONNECTOR_KIND_GLUE) return;
  if (!checks.text(uri, field, { min: 1, max: 4096 })) return;
  const schemes = SCHEMES[kind];
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    checks.that(false, field, `is no URI: give one such as ${EXAMPLES[kind]}`);
    return;
  }
  const scheme = url.protocol.slice(0, -1);
  checks.that(schemes.includes(scheme), field, `has the scheme '${scheme}', this kind takes ${schemes.join(', ')}`);
  if (scheme === 'glue') {
    checks.that(
      /^glue:(\/\/([a-z]{2,}(-[a-z]+)+-\d+)?\/?)?$/i.test(uri),
      field,
      "names no AWS region: give glue://eu-west-1, or glue:// for the region of the worker's settings",
    );
  } else if (scheme === 'file') {
    const local = url.host === '' || url.host === 'localhost';
    checks.that(local && /^file:\/\//.test(uri), field, 'is not an absolute path of this machine: file:///path');
  } else {
    checks.that(url.host !== '', field, 'has no host or bucket');
  }
  checks.that(
    url.username === '' && url.password === '',
    field,
    'holds a user or password: give them by reference in auth.secret_ref',
  );
  for (const [key, value] of url.searchParams) {
    checks.that(
      !isPlainSecret(key, value),
      field,
      `holds a secret in '${key}': give it by reference (${REFERENCE_FORM})`,
    );
  }
}

function checkSource(checks: Checks, { source }: Connector, at: string): void {
  if (!source) return;
  checks.path(source.namespacePath, `${at}.source.namespace_path`, { min: 0 });
  if (source.table !== '') {
    checks.name(source.table, `${at}.source.table`);
    checks.that(source.namespacePath.length > 0, `${at}.source.namespace_path`, 'is required with a table');
  }
  checkColumns(checks, source.columns, `${at}.source.columns`);
  checkPatterns(checks, source.includeNamespaces, `${at}.source.include_namespaces`);
  checkPatterns(checks, source.excludeNamespaces, `${at}.source.exclude_namespaces`);
  checkPatterns(checks, source.includeTables, `${at}.source.include_tables`);
  checkPatterns(checks, source.excludeTables, `${at}.source.exclude_tables`);
  checkSelection(checks, source.snapshots, `${at}.source.snapshots`);
}

function checkPatterns(checks: Checks, patterns: readonly string[], field: string): void {
  const count = patterns.length;
  checks.that(count <= MAX_PATTERNS, field, `has ${count} entries, at most ${MAX_PATTERNS} are allowed`);
  for (const [index, pattern] of patterns.slice(0, MAX_PATTERNS).entries()) {
    if (!checks.text(pattern, `${field}[${index}]`, { min: 1, max: 1024 })) continue;
    try {
      parsePattern(pattern);
    } catch (error) {
      checks.that(false, `${field}[${index}]`, (error as Error).message);
    }
  }
}

/** Column selectors: names, dotted paths or `#id`. Whether they are there is seen table by table. */
export function checkColumns(checks: Checks, columns: readonly string[], field: string): void {
  checks.that(
    columns.length <= MAX_COLUMNS,
    field,
    `has ${columns.length} entries, at most ${MAX_COLUMNS} are allowed`,
  );
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
  const why = 'names one table, but the source selects many: set source.table too';
  checks.that(oneTable || destination.tableName === '', `${field}.table_name`, why);
  checks.that(oneTable || destination.tableId === '', `${field}.table_id`, why);
}

/** `OAUTH2` */
const schemeName = (scheme: AuthScheme) => scheme.replace('AUTH_SCHEME_', '');

function checkAuth(checks: Checks, { auth, kind }: Connector, at: string): void {
  if (!auth) return;
  const field = `${at}.auth`;
  const schemes = AUTH_SCHEMES[kind];
  const isDefault = auth.scheme === AuthScheme.AUTH_SCHEME_UNSPECIFIED;
  checks.that(
    isDefault || schemes.length === 0 || schemes.includes(auth.scheme),
    `${field}.scheme`,
    `${schemeName(auth.scheme)} is not for this kind: give ${schemes.map(schemeName).join(', ')}, or leave it out`,
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
    `${interval} s is not within 0 and ${MAX_INTERVAL_SECONDS} s`,
  );
  checks.that(
    maxParallel >= 0 && maxParallel <= MAX_PARALLEL,
    `${at}.policy.max_parallel`,
    `${maxParallel} is not within 0 and ${MAX_PARALLEL}`,
  );
  const { min, max } = REQUESTS_PER_SECOND;
  const cap = policy.maxRequestsPerSecond;
  checks.that(
    cap === 0 || (cap >= min && cap <= max),
    `${at}.policy.max_requests_per_second`,
    `${cap} is not 0, nor within ${min} and ${max}`,
  );
  checkCalendar(checks, policy, `${at}.policy`);
  checks.timestamp(policy.notBefore, `${at}.policy.not_before`);
  checkMissing(checks, policy.missing, `${at}.policy.missing`);
  checkTaskQueue(checks, policy.taskQueue, `${at}.policy.task_queue`);
}

/** Temporal tells what is wrong only when the schedule is made, by which time the connector is stored. */
function checkCalendar(checks: Checks, policy: ReconcilePolicy, at: string): void {
  const { cron, timeZone } = policy;
  const [interval, jitter] = [durationSeconds(policy.interval), durationSeconds(policy.jitter)];
  const both = 'and interval both say when it runs: give one of them';
  checks.that(cron.length === 0 || interval === 0, `${at}.cron`, both);
  checks.that(cron.length <= MAX_CRON, `${at}.cron`, `has ${cron.length} entries, at most ${MAX_CRON} are allowed`);
  for (const [index, expression] of cron.slice(0, MAX_CRON).entries()) {
    try {
      parseCron(expression);
    } catch (error) {
      checks.that(false, `${at}.cron[${index}]`, (error as Error).message);
    }
  }
  checks.that(timeZone === '' || isTimeZone(timeZone), `${at}.time_zone`, 'is no IANA name such as Europe/Vienna');
  const maxJitter = interval > 0 ? Math.min(interval, MAX_JITTER_SECONDS) : MAX_JITTER_SECONDS;
  checks.that(
    jitter >= 0 && jitter <= maxJitter,
    `${at}.jitter`,
    `${jitter} s is not within 0 and ${MAX_JITTER_SECONDS} s, or is longer than the interval`,
  );
}

function checkTaskQueue(checks: Checks, name: string, field: string): void {
  if (name === '' || !checks.name(name, field, MAX_TASK_QUEUE)) return;
  checks.that(!name.startsWith('/'), field, "begins with '/': such queues are Temporal's own");
  checks.that(name !== TASK_QUEUE, field, `'${name}' is the queue of workflows: ingests need one of their own`);
}

function checkMissing(checks: Checks, missing: MissingPolicy | undefined, field: string): void {
  if (!missing) return;
  const { maxShare: share = 0 } = missing;
  const after = durationSeconds(missing.dropAfter);
  checks.that(
    after >= 0 && after <= MAX_DROP_AFTER_SECONDS,
    `${field}.drop_after`,
    `${after} s is not within 0 and ${MAX_DROP_AFTER_SECONDS} s`,
  );
  checks.that(share >= 0 && share <= 1, `${field}.max_share`, `${share} is not within 0 and 1`);
}

function checkOptions(checks: Checks, options: { [key: string]: string }, field: string): void {
  checks.map(options, field);
  for (const [key, value] of Object.entries(options)) {
    checks.that(
      !isPlainSecret(key, value),
      `${field}[${key.slice(0, 100)}]`,
      `holds a secret: the catalog stores none. Give a reference instead (${REFERENCE_FORM})`,
    );
  }
}

/** A wrong one would fail every table, one by one. */
function checkStatistics(checks: Checks, properties: { [key: string]: string }, field: string): void {
  for (const read of [ndvOptions, footersEnabled]) {
    try {
      read(properties);
    } catch (error) {
      checks.that(false, field, `are not right: ${(error as Error).message}`);
    }
  }
}
