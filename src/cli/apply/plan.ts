import { randomUUID } from 'node:crypto';
import { ClientError, Status } from 'nice-grpc';
import type { CatalogClients } from '../../catalog-client/connect.ts';
import { type Connector, ConnectorState, type DeepPartial } from '../../generated/reconciler/v1/connectors.ts';
import { shellWord } from '../../text.ts';
import { type Context, withDeadline, withWarnings } from '../catalog-session/context.ts';
import { kindWord } from '../connector/describe.ts';
import { fieldProblems } from '../connector/field-words.ts';
import { pagesOf } from '../io/paging.ts';
import { type Change, changesOf, pathsOf } from './differences.ts';
import type { Declared } from './read-file.ts';

/** What is done with one connector. */
export interface Step {
  action: 'create' | 'update' | 'delete' | 'unchanged';
  name: string;
  changes: Change[];
  /** Does it. With `validateOnly`, the catalog only checks it. */
  run(options: { validateOnly: boolean }): Promise<void>;
  /** `connectors.yaml:12:5: cron 'x' …`, for an error of `run`; rethrows errors that do not concern the connector. */
  problemsOf(error: unknown): string[];
}

export interface Plan {
  steps: Step[];
  /** Everything that speaks against it. */
  problems: string[];
}

/**
 * Compares declared connectors with the stored ones; the catalog checks each change without making it.
 *
 * @param set connectors that this set has created and that are not declared are deleted, if `prune` is set
 */
export async function planOf(
  { clients, out }: Pick<Context, 'clients' | 'out'>,
  declared: Declared[],
  { set, prune }: { set: string; prune: boolean },
): Promise<Plan> {
  const stored = new Map<string, Connector>();
  for await (const page of pagesOf(async (page, call) => {
    const { connectors, nextPageToken } = await clients.connectors.listConnectors(page, call);
    return { items: connectors, nextPageToken };
  })) {
    for (const connector of page) stored.set(connector.displayName, connector);
  }
  const plan: Plan = { steps: [], problems: [] };
  for (const connector of declared) {
    const found = stored.get(connector.name);
    const problem = found && refusal(connector, found, set);
    if (problem !== undefined) {
      plan.problems.push(problem);
      continue;
    }
    const step = stepOf({ clients, out }, connector, found, set);
    plan.steps.push(step);
    await step.run({ validateOnly: true }).catch((error) => plan.problems.push(...step.problemsOf(error)));
  }
  const names = new Set(declared.map(({ name }) => name));
  for (const connector of prune ? stored.values() : []) {
    if (connector.managedBy === set && !names.has(connector.displayName)) plan.steps.push(deletion(clients, connector));
  }
  return plan;
}

/** Why a stored connector cannot be what the file declares. */
function refusal(declared: Declared, stored: Connector, set: string): string | undefined {
  const { name, kind, where } = declared;
  if (stored.state === ConnectorState.CONNECTOR_STATE_DELETING)
    return `${where()}: connector '${name}' is being deleted: wait until it is gone, and apply again`;
  if (kindWord(stored) !== kind)
    return `${where('kind')}: connector '${name}' has the kind ${kindWord(stored)}, which cannot be changed to ${kind}: give the new connector another name, or delete the old one first`;
  if (stored.managedBy !== '' && stored.managedBy !== set && changesOf(declared, stored).length > 0)
    return `${where()}: connector '${name}' belongs to the set '${stored.managedBy}': change it there, or apply with --set ${shellWord(stored.managedBy)}`;
  return undefined;
}

function stepOf(
  { clients, out }: Pick<Context, 'clients' | 'out'>,
  declared: Declared,
  stored: Connector | undefined,
  set: string,
): Step {
  const { name, spec } = declared;
  const changes = changesOf(declared, stored);
  const connector: DeepPartial<Connector> = { ...spec.connector, displayName: name };
  if (declared.state) connector.state = STATES[declared.state];
  const call = (validateOnly: boolean) => (validateOnly ? withDeadline() : withWarnings(out));
  return {
    name,
    changes,
    action: stored === undefined ? 'create' : changes.length > 0 ? 'update' : 'unchanged',
    async run({ validateOnly }) {
      if (stored === undefined) {
        const request = { connector: { ...connector, managedBy: set }, idempotencyKey: randomUUID(), validateOnly };
        await clients.connectors.createConnector(request, call(validateOnly));
      } else if (changes.length > 0) {
        const { connectorId, etag } = stored;
        const request = { connector: { ...connector, connectorId, etag }, updateMask: pathsOf(changes), validateOnly };
        await clients.connectors.updateConnector(request, call(validateOnly));
      }
    },
    problemsOf: (error) => problems(error, name, declared.where),
  };
}

const STATES = {
  active: ConnectorState.CONNECTOR_STATE_ACTIVE,
  paused: ConnectorState.CONNECTOR_STATE_PAUSED,
} as const;

function deletion(clients: CatalogClients, { connectorId, displayName, etag }: Connector): Step {
  return {
    action: 'delete',
    name: displayName,
    changes: [],
    async run({ validateOnly }) {
      if (!validateOnly) await clients.connectors.deleteConnector({ connectorId, etag }, withDeadline());
    },
    problemsOf: (error) => problems(error, displayName),
  };
}

function problems(error: unknown, name: string, where?: Declared['where']): string[] {
  if (!(error instanceof ClientError) || error.code === Status.UNAVAILABLE) throw error;
  const place = (key?: string) => (where ? `${where(key)}: ` : '');
  if (error.code === Status.ABORTED)
    return [`${place()}connector '${name}' was changed by someone else in the meantime: apply again`];
  const found = fieldProblems(error);
  if (found.length === 0) return [`${place()}connector '${name}': ${error.details}`];
  return found.map(({ option, problem }) => `${place(option)}connector '${name}': ${option ?? ''} ${problem}`);
}
