import { type Command, Option } from 'commander';
import { UsageError } from '../io/errors.ts';
import {
  each,
  interval,
  keyValue,
  list,
  namePath,
  positiveInteger,
  requestRate,
  share,
  time,
  uri,
} from '../io/options.ts';
import { addCaptureOptions } from './capture-flags.ts';
import type { SpecOptions } from './spec-fields.ts';

const AUTH_SCHEMES = ['none', 'bearer', 'oauth2', 'sigv4', 'aws'];
const MISSING_ACTIONS = ['keep', 'mark', 'drop'];

export const KINDS = ['iceberg', 'delta', 'glue', 'unity'];

/** Example URIs for help texts. */
const URI_EXAMPLES =
  'file:///warehouse, s3://bucket/warehouse, abfss://container@account.dfs.core.windows.net/warehouse, gs://bucket/warehouse, ' +
  'https://catalog.example.com, glue://eu-west-1';
const UNITY_EXAMPLE = 'https://dbc-1234.cloud.databricks.com or http://localhost:8080';

/** Options of `create`, `validate` and `update`, by topic; `update` has no `--kind`. */
export function addSpecOptions(command: Command, options: { kind: boolean }): Command {
  command.optionsGroup('Upstream:');
  if (options.kind) command.addOption(new Option('--kind <kind>', 'kind of the upstream catalog').choices(KINDS));
  command
    .option('--uri <uri>', `address of the upstream: ${URI_EXAMPLES}; optional for glue`, uri)
    .option('--description <text>', 'free text')
    .option(
      '--property <key=value>',
      'property of the connector, such as stats.ndv.enabled=true, or catalog=main for unity; repeatable',
      keyValue,
    )
    .optionsGroup('What is ingested:')
    .option('--source-namespace <name>', 'only this namespace and those below it (default: all)', namePath)
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
    );
  return addCaptureOptions(command)
    .optionsGroup('Destination:')
    .option('--destination-catalog <name>', 'destination catalog of the tables')
    .option(
      '--destination-namespace <name>',
      'destination namespace of all tables (default: the same as upstream)',
      namePath,
    )
    .option('--destination-table <name>', 'destination name of the table; only with --source-table')
    .optionsGroup('Authentication:')
    .addOption(
      new Option(
        '--auth-scheme <scheme>',
        'authentication; glue accepts none, aws and sigv4, unity none, bearer and oauth2',
      ).choices(AUTH_SCHEMES),
    )
    .option('--secret-ref <ref>', 'where workers find the secret: env:NAME, file:/path or aws-secretsmanager:ID[#KEY]')
    .option(
      '--auth-property <key=value>',
      'setting of the auth scheme, such as profile=NAME for unity; repeatable',
      keyValue,
    )
    .option('--header <key=value>', 'header of every upstream request; repeatable', keyValue)
    .optionsGroup('Schedule:')
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
    .optionsGroup('Tables and views that are missing upstream:')
    .addOption(
      new Option(
        '--missing <action>',
        'what to do with tables and views that are missing upstream (default: mark)',
      ).choices(MISSING_ACTIONS),
    )
    .option(
      '--drop-after <time>',
      'with --missing drop: how long a table or view must be missing (default: 7d)',
      interval,
    )
    .option('--missing-max-share <share>', 'fail if more than this share is missing (default: 0.25)', share)
    .optionsGroup('Load and workers:')
    .option('--max-parallel <n>', 'tables ingested at the same time (default: 8)', positiveInteger)
    .option(
      '--max-requests-per-second <n>',
      'limit of requests to the upstream catalog and to its storage, over all workers; 0: no limit',
      requestRate,
    )
    .option('--task-queue <name>', 'only workers that poll this task queue read the upstream; see `reconciler worker`')
    .optionsGroup('Alerts:')
    .option(
      '--webhook <url>',
      'receives a POST when jobs begin to fail and when they succeed again: http(s) URL, or env:NAME or file:/path that contains one',
    )
    .option('--webhook-secret <ref>', 'where workers find the signing key: env:NAME, file:/path, …')
    .optionsGroup('Options:');
}

/** @throws UsageError if the kind needs a URI and none was given. */
export function requireUri({ kind, uri }: SpecOptions): void {
  // Without an address, Glue is found by its region.
  if (uri || kind === 'glue') return;
  throw new UsageError(
    `--uri is required for kind ${kind}`,
    `give the address of the upstream, for example ${kind === 'unity' ? UNITY_EXAMPLE : URI_EXAMPLES}`,
  );
}
