import { durationSeconds, durationText } from '../../durations.ts';
import type { Duration } from '../../generated/google/protobuf/duration.ts';
import {
  AuthScheme,
  type Connector,
  ConnectorKind,
  ConnectorState,
  type MissingPolicy,
} from '../../generated/reconciler/v1/connectors.ts';
import { formatName } from '../../names.ts';
import { word } from '../io/format.ts';
import { declaredSnapshots, modeText } from './capture-flags.ts';
import { MISSING } from './spec-fields.ts';

export type DeclaredValue = string | number | boolean | string[] | { [key: string]: string };

/** A connector as a file declares it: the options of `connector create` that describe it, without dashes, in the order of its help. */
export type Declaration = { [key: string]: DeclaredValue };

/** How a file declares this connector. It has no keys for what has its default value, and none for what a catalog sets itself. */
export function declarationOf(connector: Connector): Declaration {
  const { source, destination, auth, policy, alerts } = connector;
  const { snapshots, branches } = declaredSnapshots(connector);
  const isScheduled = durationSeconds(policy?.interval) > 0 || (policy?.cron.length ?? 0) > 0;
  const entries: [key: string, value: DeclaredValue | undefined][] = [
    ['name', connector.displayName],
    [
      'kind',
      connector.kind === ConnectorKind.CONNECTOR_KIND_UNSPECIFIED ? '' : word(connector.kind, 'CONNECTOR_KIND_'),
    ],
    ['uri', connector.uri],
    ['description', connector.description],
    ['property', sorted(connector.properties)],
    ['source-namespace', formatName(source?.namespacePath ?? [])],
    ['source-table', source?.table],
    ['source-columns', source?.columns],
    ['include-namespaces', source?.includeNamespaces],
    ['exclude-namespaces', source?.excludeNamespaces],
    ['include-tables', source?.includeTables],
    ['exclude-tables', source?.excludeTables],
    ['snapshots', snapshots],
    ['branches', branches],
    ['mode', modeText(connector)],
    ['destination-catalog', destination?.catalogName],
    ['destination-namespace', formatName(destination?.namespacePath ?? [])],
    ['destination-table', destination?.tableName],
    [
      'auth-scheme',
      auth && auth.scheme !== AuthScheme.AUTH_SCHEME_UNSPECIFIED ? word(auth.scheme, 'AUTH_SCHEME_') : undefined,
    ],
    ['secret-ref', auth?.secretRef],
    ['auth-property', sorted(auth?.properties)],
    ['header', sorted(auth?.headerHints)],
    ['interval', durationSeconds(policy?.interval) > 0 ? durationOf(policy?.interval) : undefined],
    ['cron', policy?.cron],
    ['time-zone', policy?.timeZone],
    ['jitter', durationSeconds(policy?.jitter) > 0 ? durationOf(policy?.jitter) : undefined],
    ['not-before', policy?.notBefore?.toISOString().replace('.000Z', 'Z')],
    ['schedule', (policy?.enabled ?? false) === isScheduled ? undefined : policy?.enabled],
    ['missing', missingWord(policy?.missing)],
    ['drop-after', durationOf(policy?.missing?.dropAfter)],
    ['missing-max-share', policy?.missing?.maxShare],
    ['max-parallel', policy?.maxParallel || undefined],
    ['max-requests-per-second', policy?.maxRequestsPerSecond || undefined],
    ['task-queue', policy?.taskQueue],
    ['webhook', alerts?.webhookUrl],
    ['webhook-secret', alerts?.secretRef],
    ['state', connector.state === ConnectorState.CONNECTOR_STATE_PAUSED ? 'paused' : undefined],
  ];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, DeclaredValue] => entry[1] !== undefined && !isEmpty(entry[1])),
  );
}

function isEmpty(value: DeclaredValue): boolean {
  return value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}

/** The order of the entries of a map means nothing. */
function sorted(map: { [key: string]: string } = {}): { [key: string]: string } {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const durationOf = (duration: Duration | undefined) => duration && durationText(durationSeconds(duration));

const missingWord = (missing: MissingPolicy | undefined) =>
  Object.entries(MISSING).find(([, action]) => action === missing?.action)?.[0];
