import { scheduleText } from '../../catalog/schedules/schedule-text.ts';
import { durationSeconds, durationText } from '../../durations.ts';
import {
  type AuthConfig,
  AuthScheme,
  type Connector,
  ConnectorState,
  MissingAction,
} from '../../generated/reconciler/v1/connectors.ts';
import { type Schedule, ScheduleStatus } from '../../generated/reconciler/v1/schedules.ts';
import { formatName } from '../../names.ts';
import { isSecretReference } from '../../secrets.ts';
import type { Tone } from '../io/colour.ts';
import { details } from '../io/details.ts';
import { NONE, time, word } from '../io/format.ts';
import { modeText, snapshotsText } from './capture-flags.ts';

export const kindWord = (connector: Connector) => word(connector.kind, 'CONNECTOR_KIND_');
/** Empty for the default of the connector's kind. */
const authText = (auth: AuthConfig | undefined) =>
  auth === undefined || auth.scheme === AuthScheme.AUTH_SCHEME_UNSPECIFIED ? '' : word(auth.scheme, 'AUTH_SCHEME_');
export const stateWord = (connector: Connector) => word(connector.state, 'CONNECTOR_STATE_');
export const stateTone = ({ state }: Connector): Tone =>
  state === ConnectorState.CONNECTOR_STATE_ACTIVE ? 'good' : 'warning';

/** The source selector as a name; `*` stands for the whole upstream. */
export function sourceText({ source }: Connector): string {
  const path = source?.namespacePath ?? [];
  const table = source?.table ?? '';
  return formatName([...path, ...(table ? [table] : [])]) + (table ? '' : path.length > 0 ? '.*' : '*');
}

/** `main`, `main.sales` or `main.sales.orders`; ids if the names are not set. */
export function destinationText({ destination }: Connector): string {
  if (!destination) return NONE;
  const catalog = destination.catalogName || destination.catalogId;
  const namespace = destination.namespacePath.length > 0 ? destination.namespacePath : [destination.namespaceId];
  return formatName(
    [catalog, ...namespace, destination.tableName || destination.tableId].filter((part) => part !== ''),
  );
}

/** `drop after 7d, fail if more than a share of 0.5 is missing`; empty if the policy sets nothing. */
function missingText({ policy }: Connector): string {
  if (!policy?.missing) return '';
  const { action, dropAfter, maxShare } = policy.missing;
  const drops = action === MissingAction.MISSING_ACTION_DROP;
  const actionText = action === MissingAction.MISSING_ACTION_UNSPECIFIED ? 'mark' : word(action, 'MISSING_ACTION_');
  const after = drops && dropAfter !== undefined ? ` after ${durationText(durationSeconds(dropAfter))}` : '';
  return `${actionText}${after}${maxShare === undefined ? '' : `, fail if more than a share of ${maxShare} is missing`}`;
}

/** The reference, or only the URL's origin, because its path is often a secret. */
function webhookText({ alerts }: Connector): string {
  const { webhookUrl = '', secretRef = '' } = alerts ?? {};
  if (webhookUrl === '') return '';
  const target = isSecretReference(webhookUrl) ? webhookUrl : `${new URL(webhookUrl).origin}/…`;
  return `${target}, ${secretRef === '' ? 'unsigned' : `signed by ${secretRef}`}`;
}

const pairs = (map: { [key: string]: string }) =>
  Object.entries(map)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** All fields of a connector that are set, one per line; with the next run if the schedule in Temporal is known. */
export function describeConnector(connector: Connector, schedule?: Schedule): string[] {
  const { auth, policy, source } = connector;
  const when = policy && scheduleText(policy);
  const jitter = durationSeconds(policy?.jitter);
  return details([
    ['name', connector.displayName],
    ['id', connector.connectorId],
    ['description', connector.description],
    ['managed by', connector.managedBy && `apply, set ${connector.managedBy}`],
    ['kind', kindWord(connector)],
    ['uri', connector.uri],
    ['state', stateWord(connector), stateTone(connector)],
    ['source', sourceText(connector)],
    ['columns', source?.columns.join(', ')],
    ['include namespaces', source?.includeNamespaces.join(', ')],
    ['exclude namespaces', source?.excludeNamespaces.join(', ')],
    ['include tables', source?.includeTables.join(', ')],
    ['exclude tables', source?.excludeTables.join(', ')],
    ['snapshots', snapshotsText(connector)],
    ['mode', modeText(connector)],
    ['destination', destinationText(connector)],
    ['auth', [authText(auth), auth?.secretRef].filter(Boolean).join(' with ')],
    ['auth properties', pairs(auth?.properties ?? {})],
    ['schedule', when ? `${when}${policy.enabled ? '' : ' (off)'}` : 'by hand'],
    ['jitter', jitter > 0 ? `up to ${durationText(jitter)}` : undefined],
    ['next run', schedule && nextRun(schedule)],
    ['not before', policy?.notBefore && time(policy.notBefore)],
    ['missing', missingText(connector)],
    ['max parallel', policy?.maxParallel ? String(policy.maxParallel) : undefined],
    ['requests', policy?.maxRequestsPerSecond ? `at most ${policy.maxRequestsPerSecond} per second` : undefined],
    ['task queue', policy?.taskQueue],
    ['webhook', webhookText(connector)],
    ['properties', pairs(connector.properties)],
    ['running job', connector.runningJobId],
    ['created', time(connector.createdAt)],
    ['updated', time(connector.updatedAt)],
  ]);
}

function nextRun({ paused, nextRunAt, status }: Schedule): string {
  if (status === ScheduleStatus.SCHEDULE_STATUS_FOREIGN)
    return 'none: the schedule with its id belongs to another catalog';
  const repairHint = status === ScheduleStatus.SCHEDULE_STATUS_OK ? '' : ' (`reconciler schedule repair` corrects it)';
  return `${paused ? 'none, paused' : time(nextRunAt)}${repairHint}`;
}
