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
import { addTakingOptions, type CaptureFlags, captureModeFromFlag, snapshotsOf } from './capture-flags.ts';

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
/** They can be described, but no worker reads them yet. */
const NOT_YET = ['delta', 'unity'];

/** Examples of a URI, for people. */
const URI_EXAMPLES = 'file:///warehouse, s3://bucket/warehouse, https://catalog.example.com, glue://eu-west-1';

/** Options of `create` and `validate` (`kind` and `uri` with them) and of `update`. */
export function addSpecOptions(command: Command, options: { kind: boolean }): Command {
  if (options.kind) command.addOption(new Option('--kind <kind>', 'what the upstream is').choices(KINDS));
  return addTakingOptions(command)
    .option('--uri <uri>', `where it is: ${URI_EXAMPLES}; may be left out for glue`)
    .option('--description <text>', 'for people')
    .option('--source-namespace <name>', 'take this namespace and those below it (default: all)')
    .option('--source-table <name>', 'take this table of the namespace only')
    .option('--source-columns <list>', 'statistics of these columns only: names, dotted paths or #id', list)
    .option(
      '--include-namespaces <patterns>',
      'take only these and those below them, such as sales,*_eu; repeatable',
      list,
    )
    .option('--exclude-namespaces <patterns>', 'leave these and those below them out; repeatable', list)
    .option(
      '--include-tables <patterns>',
      'take only tables and views with these full names, such as sales.orders_*',
      list,
    )
    .option(
      '--exclude-tables <patterns>',
      'leave these out, such as **.tmp_*; wins over the includes; repeatable',
      list,
    )
    .option('--destination-catalog <name>', 'catalog that the tables go into')
    .option('--destination-namespace <name>', "put all tables into this namespace (default: the source's)")
    .option('--destination-table <name>', "the table's name there; only with --source-table")
    .addOption(
      new Option('--auth-scheme <scheme>', 'how to authenticate; glue takes none, aws and sigv4').choices(AUTH_SCHEMES),
    )
    .option(
      '--secret-ref <ref>',
      'where a worker finds the secret: env:NAME, file:/path or aws-secretsmanager:ID[#KEY]',
    )
    .option('--auth-property <key=value>', 'for the scheme; repeatable', keyValue)
    .option('--header <key=value>', 'sent with every request upstream; repeatable', keyValue)
    .option('--max-parallel <n>', 'tables ingested at the same time (default: 8)', positiveInteger)
    .option(
      '--max-requests-per-second <n>',
      'requests to the catalog and to S3, all workers together; 0: as many as it takes',
      requestRate,
    )
    .option('--task-queue <name>', 'only workers that serve this queue read it; see `reconciler worker`')
    .addOption(
      new Option('--missing <action>', 'what happens to what is gone upstream (default: mark)').choices(
        Object.keys(MISSING),
      ),
    )
    .option('--drop-after <time>', 'of --missing drop: how long it has to be gone (default: 7d)', interval)
    .option('--missing-max-share <share>', 'fail if more than this share is gone at once (default: 0.25)', share)
    .option('--interval <time>', 'how often to reconcile by itself: 15m, 6h, 1d; 0 for not', interval)
    .option(
      '--cron <expression>',
      'instead: minute, hour, day of month, month and day of week, or @daily and the like; repeatable',
      each,
    )
    .option('--time-zone <name>', 'of --cron, such as Europe/Vienna (default: UTC)')
    .option('--jitter <time>', 'begin scheduled runs up to so much later, so that not all begin at once', interval)
    .option('--not-before <time>', 'no scheduled run before this time', time)
    .option('--schedule', 'run by --interval or --cron (default, where one is given)')
    .option('--no-schedule', 'keep it, but do not run by it')
    .option(
      '--webhook <url>',
      'told by POST when a job fails, and when one succeeds again: http(s) URL, or env:NAME, file:/path that hold one',
    )
    .option('--webhook-secret <ref>', 'where a worker finds the key that signs it: env:NAME, file:/path, …')
    .option('--property <key=value>', 'option of the connector, such as stats.ndv.enabled=true; repeatable', keyValue);
}

/** @throws UsageError where an option that the kind needs was left out. */
export function requireUri({ kind, uri }: SpecOptions): void {
  // Glue is found by its region where no address is given.
  if (uri || kind === 'glue') return;
  throw new UsageError(`--uri is required for kind ${kind}`, `where the upstream is, for example ${URI_EXAMPLES}`);
}

/** What is to be said of a kind that cannot be reconciled yet. */
export function warningOf({ kind = '' }: SpecOptions): string | undefined {
  if (!NOT_YET.includes(kind)) return undefined;
  return `warning: connectors of kind ${kind} are stored, but cannot be reconciled yet; iceberg and glue can`;
}

/**
 * The connector that the options describe, and the paths of the fields that were given, for an update.
 *
 * @throws CodedError INVALID_ARGUMENT for a name that does not parse.
 */
export function specOf(options: SpecOptions): { connector: DeepPartial<Connector>; paths: string[] } {
  // An empty one clears the calendar.
  const cron = options.cron?.filter((expression) => expression !== '');
  const duration = (seconds: number | undefined) => (seconds === undefined ? undefined : toDuration(seconds));
  const runsByItself = cron || options.interval !== undefined ? Boolean(cron?.length || options.interval) : undefined;
  const given: [path: string, value: unknown][] = [
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
    // The one replaces the other.
    ['policy.interval', duration(options.interval ?? (cron?.length ? 0 : undefined))],
    ['policy.cron', cron ?? (options.interval ? [] : undefined)],
    ['policy.time_zone', options.timeZone],
    ['policy.jitter', duration(options.jitter)],
    ['policy.not_before', options.notBefore],
    ['policy.enabled', options.schedule ?? runsByItself],
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
  for (const [path, value] of given) {
    if (value === undefined) continue;
    paths.push(path);
    const fields = path.split('.').map(camel);
    let part = connector;
    for (const field of fields.slice(0, -1)) {
      part[field] ??= {};
      part = part[field] as Record<string, unknown>;
    }
    part[fields.at(-1) ?? ''] = value;
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
  throw new UsageError(`--state ${text} is not active or paused`);
}
