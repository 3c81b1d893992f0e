import { type Command, Option } from 'commander';
import { toDuration } from '../../durations.ts';
import {
  AuthScheme,
  type Connector,
  type ConnectorKind,
  ConnectorState,
  connectorKindFromJSON,
  type DeepPartial,
  MissingAction,
} from '../../generated/reconciler/v1/connectors.ts';
import { parseName } from '../../names.ts';
import { UsageError } from '../io/errors.ts';
import { each, interval, keyValue, list, positiveInteger, requestRate, share, time } from '../io/options.ts';
import { addCaptureOptions, type CaptureFlags, captureModeFromFlag, snapshotsOf } from './capture-flags.ts';

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

const AUTH_SCHEMES = ['none', 'bearer', 'oauth2', 'sigv4', 'aws'];
const MISSING = {
  keep: MissingAction.MISSING_ACTION_KEEP,
  mark: MissingAction.MISSING_ACTION_MARK,
  drop: MissingAction.MISSING_ACTION_DROP,
};

export const KINDS = ['iceberg', 'delta', 'glue', 'unity'];
/** Connectors of these kinds can be stored, but no worker reads them yet. */
const UNSUPPORTED_KINDS = ['delta', 'unity'];

/** Example URIs for help texts. */
const URI_EXAMPLES = 'file:///warehouse, s3://bucket/warehouse, https://catalog.example.com, glue://eu-west-1';

/** Options of `create`, `validate` and `update`; `update` has no `--kind`. */
export function addSpecOptions(command: Command, options: { kind: boolean }): Command {
  if (options.kind) command.addOption(new Option('--kind <kind>', 'kind of the upstream catalog').choices(KINDS));
  return addCaptureOptions(command)
    .option('--uri <uri>', `address of the upstream: ${URI_EXAMPLES}; optional for glue`)
    .option('--description <text>', 'free text')
    .option('--source-namespace <name>', 'only this namespace and those below it (default: all)')
    .option('--source-table <name>', 'only this table of the source namespace')
    .option('--source-columns <list>', 'statistics of these columns only: names, dotted paths or #id', list)
    .option(
      '--include-namespaces <patterns>',
      'only these namespaces and those below them, such as sales,*_eu; repeatable',
      list,
    )
    .option('--exclude-namespaces <patterns>', 'without these namespaces and those below them; repeatable', list)
    .option(
      '--include-tables <patterns>',
      'only tables and views with these full names, such as sales.orders_*; repeatable',
      list,
    )
    .option(
      '--exclude-tables <patterns>',
      'without these tables and views, such as **.tmp_*; overrides the includes; repeatable',
      list,
    )
    .option('--destination-catalog <name>', 'destination catalog of the tables')
    .option('--destination-namespace <name>', 'destination namespace of all tables (default: the same as upstream)')
    .option('--destination-table <name>', 'destination name of the table; only with --source-table')
    .addOption(
      new Option('--auth-scheme <scheme>', 'authentication; glue accepts none, aws and sigv4').choices(AUTH_SCHEMES),
    )
    .option('--secret-ref <ref>', 'where workers find the secret: env:NAME, file:/path or aws-secretsmanager:ID[#KEY]')
    .option('--auth-property <key=value>', 'setting of the auth scheme; repeatable', keyValue)
    .option('--header <key=value>', 'header of every upstream request; repeatable', keyValue)
    .option('--max-parallel <n>', 'tables ingested at the same time (default: 8)', positiveInteger)
    .option(
      '--max-requests-per-second <n>',
      'limit of requests to the upstream catalog and to S3, over all workers; 0: no limit',
      requestRate,
    )
    .option('--task-queue <name>', 'only workers that poll this task queue read the upstream; see `reconciler worker`')
    .addOption(
      new Option(
        '--missing <action>',
        'what to do with tables and views that are missing upstream (default: mark)',
      ).choices(Object.keys(MISSING)),
    )
    .option(
      '--drop-after <time>',
      'with --missing drop: how long a table or view must be missing (default: 7d)',
      interval,
    )
    .option('--missing-max-share <share>', 'fail if more than this share is missing (default: 0.25)', share)
    .option('--interval <time>', 'run at this interval: 15m, 6h, 1d; 0 for none', interval)
    .option(
      '--cron <expression>',
      'run at these times: minute, hour, day of month, month and day of week, or @daily etc.; repeatable',
      each,
    )
    .option('--time-zone <name>', 'time zone of --cron, such as Europe/Vienna (default: UTC)')
    .option('--jitter <time>', 'delay each scheduled run by a random time up to this', interval)
    .option('--not-before <time>', 'start no scheduled run before this time', time)
    .option('--schedule', 'enable the schedule (default if --interval or --cron is given)')
    .option('--no-schedule', 'keep the schedule, but disable it')
    .option(
      '--webhook <url>',
      'receives a POST when jobs begin to fail and when they succeed again: http(s) URL, or env:NAME or file:/path that contains one',
    )
    .option('--webhook-secret <ref>', 'where workers find the signing key: env:NAME, file:/path, …')
    .option(
      '--property <key=value>',
      'property of the connector, such as stats.ndv.enabled=true; repeatable',
      keyValue,
    );
}

/** @throws UsageError if the kind needs a URI and none was given. */
export function requireUri({ kind, uri }: SpecOptions): void {
  // Without an address, Glue is found by its region.
  if (uri || kind === 'glue') return;
  throw new UsageError(
    `--uri is required for kind ${kind}`,
    `give the address of the upstream, for example ${URI_EXAMPLES}`,
  );
}

/** A warning for kinds that cannot be reconciled yet. */
export function warningOf({ kind = '' }: SpecOptions): string | undefined {
  if (!UNSUPPORTED_KINDS.includes(kind)) return undefined;
  return `warning: the connector is stored, but kind ${kind} cannot be reconciled yet; iceberg and glue can`;
}

/**
 * The connector that the options describe, and the paths of the fields that were set, for an update mask.
 *
 * @throws CodedError INVALID_ARGUMENT if a name does not parse.
 */
export function specOf(options: SpecOptions): { connector: DeepPartial<Connector>; paths: string[] } {
  // An empty expression clears the calendar.
  const cron = options.cron?.filter((expression) => expression !== '');
  const duration = (seconds: number | undefined) => (seconds === undefined ? undefined : toDuration(seconds));
  const scheduled = cron || options.interval !== undefined ? Boolean(cron?.length || options.interval) : undefined;
  const fields: [path: string, value: unknown][] = [
    ['description', options.description],
    ['uri', options.uri],
    ['source.namespace_path', name(options.sourceNamespace)],
    ['source.table', options.sourceTable],
    ['source.columns', options.sourceColumns],
    ['source.include_namespaces', options.includeNamespaces],
    ['source.exclude_namespaces', options.excludeNamespaces],
    ['source.include_tables', options.includeTables],
    ['source.exclude_tables', options.excludeTables],
    ['source.snapshots', snapshotsOf(options)],
    ['policy.mode', captureModeFromFlag(options)],
    ['destination.catalog_name', options.destinationCatalog],
    ['destination.namespace_path', name(options.destinationNamespace)],
    ['destination.table_name', options.destinationTable],
    [
      'auth.scheme',
      options.authScheme && AuthScheme[`AUTH_SCHEME_${options.authScheme.toUpperCase()}` as keyof typeof AuthScheme],
    ],
    ['auth.secret_ref', options.secretRef],
    ['auth.properties', options.authProperty],
    ['auth.header_hints', options.header],
    ['policy.max_parallel', options.maxParallel],
    ['policy.max_requests_per_second', options.maxRequestsPerSecond],
    // An interval replaces the calendar, and the other way round.
    ['policy.interval', duration(options.interval ?? (cron?.length ? 0 : undefined))],
    ['policy.cron', cron ?? (options.interval ? [] : undefined)],
    ['policy.time_zone', options.timeZone],
    ['policy.jitter', duration(options.jitter)],
    ['policy.not_before', options.notBefore],
    ['policy.enabled', options.schedule ?? scheduled],
    ['policy.task_queue', options.taskQueue],
    ['policy.missing.action', options.missing && MISSING[options.missing as keyof typeof MISSING]],
    ['policy.missing.drop_after', duration(options.dropAfter)],
    ['policy.missing.max_share', options.missingMaxShare],
    ['alerts.webhook_url', options.webhook],
    ['alerts.secret_ref', options.webhookSecret],
    ['properties', options.property],
  ];
  const connector: Record<string, unknown> = { ...(options.kind && { kind: kindOf(options.kind) }) };
  const paths: string[] = [];
  for (const [path, value] of fields) {
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

const camel = (field: string) => field.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function kindOf(text: string): ConnectorKind {
  return connectorKindFromJSON(`CONNECTOR_KIND_${text.toUpperCase()}`);
}

export function stateOf(text: string): ConnectorState {
  if (text === 'active') return ConnectorState.CONNECTOR_STATE_ACTIVE;
  if (text === 'paused') return ConnectorState.CONNECTOR_STATE_PAUSED;
  throw new UsageError(`--state ${text} must be active or paused`);
}
