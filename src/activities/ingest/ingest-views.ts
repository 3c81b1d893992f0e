import { setTimeout } from 'node:timers/promises';
import type { ViewDescriptor, ViewRef } from '../../connectors/spi.ts';
import { CodedError } from '../../errors.ts';
import type { Binding } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { formatName } from '../../names.ts';
import type { Change, ChangeList } from '../dry-run/change-list.ts';
import { goneChange } from '../dry-run/dropped-change.ts';
import type { ViewSource } from '../listing/view-source.ts';
import { OBJECT_KIND } from '../missing/bindings.ts';
import { destinationOf, hasMoved, requireNamespace, type TableDestination, tableText } from '../options/destination.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { describeError, isCatalogAway, isFinal } from '../runtime/failures.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import { inParallel } from '../runtime/in-parallel.ts';
import { DestinationNamespaces } from './destination-namespaces.ts';
import { isNameTaken, tableDroppedUpstream } from './name-conflict.ts';

/** Questions asked of the upstream at the same time. */
const QUESTIONS = 8;
/** Passes over the views of a page that failed with what may pass. */
const PASSES = 3;
/** Wait before another pass, longer where the upstream asks for it. Well below the watchdog's time. */
const WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;

export interface BringInViews {
  deps: Pick<ActivityDeps, 'catalog'>;
  connector: Connector;
  source: ViewSource;
  /** Write all of them, also those whose fingerprint says that they have not changed. */
  full: boolean;
  heartbeat: Heartbeat;
  /** Of a dry run: told what would change, and nothing is changed. */
  changes?: ChangeList;
}

export interface ViewFailure {
  view: ViewRef;
  code: string;
  message: string;
}

/**
 * Brings a page of views up to date: one question each to the upstream, and one call to the catalog for each that has changed. A view
 * that fails is told in the answer, and the others go in.
 *
 * @throws what the catalog fails with when it cannot be reached: then every view would fail
 */
export async function ingestViews(
  input: BringInViews,
  views: readonly ViewRef[],
): Promise<{ changed: number; failures: ViewFailure[] }> {
  if (views.length === 0) return { changed: 0, failures: [] };
  const { bindings: known } = await input.deps.catalog.bindings.lookupBindings({
    connectorId: input.connector.connectorId,
    kind: OBJECT_KIND.views,
    names: views.map(({ namespace, name }) => ({ namespacePath: [...namespace], name })),
  });
  const namespaces = new DestinationNamespaces(input.deps, input.connector, input.changes);
  const failures: ViewFailure[] = [];
  let changed = 0;
  let left = views.map((view, i) => ({ view, known: known[i] }));
  for (let pass = 1; left.length > 0; pass++) {
    const again: typeof left = [];
    let wait = WAIT_MS * pass;
    await inParallel(left, QUESTIONS, async (one) => {
      input.heartbeat.signal.throwIfAborted();
      try {
        if (await ingestView(input, one.view, one.known, namespaces)) changed += 1;
      } catch (error) {
        if (input.heartbeat.signal.aborted || isCatalogAway(error)) throw error;
        if (isFinal(error) || pass === PASSES) failures.push({ view: one.view, ...describeError(error) });
        else again.push(one);
        if (error instanceof CodedError) wait = Math.max(wait, error.retryAfterMs ?? 0);
      }
      input.heartbeat.beat();
    });
    left = again;
    if (left.length > 0) await setTimeout(Math.min(wait, MAX_WAIT_MS), undefined, { signal: input.heartbeat.signal });
  }
  return { changed, failures };
}

async function ingestView(
  { deps, connector, source, full, changes }: BringInViews,
  view: ViewRef,
  known: Binding | undefined,
  namespaces: DestinationNamespaces,
): Promise<boolean> {
  const descriptor = await source.describeView(view);
  const to = destinationOf(connector, view);
  if (!full && known && isUnchanged(known, descriptor, to)) return false;
  requireNamespace(to, view, 'View');
  const namespaceId = await namespaces.idOf(to.namespacePath);
  const dryRun = changes !== undefined;
  const told = async (answer: { changed: boolean; made: boolean }) => {
    if (answer.changed) await changes?.tell(viewChange(view, to, known, answer.made));
    return answer.changed;
  };
  // A namespace that a dry run does not make: no name can be taken there.
  if (dryRun && namespaceId === '') return told({ changed: true, made: known?.objectId === '' });
  const request = {
    validateOnly: dryRun,
    connectorId: connector.connectorId,
    upstream: { namespacePath: [...view.namespace], name: view.name },
    uuid: descriptor.uuid,
    fingerprint: descriptor.fingerprint,
    view: {
      namespaceId,
      name: to.name,
      versionId: descriptor.versionId,
      schema: { schemaId: descriptor.schema.id, json: descriptor.schema.json },
      representations: descriptor.representations.map(({ sql, dialect }) => ({ sql, dialect })),
      defaultCatalog: descriptor.defaultCatalog,
      defaultNamespace: [...descriptor.defaultNamespace],
      properties: descriptor.properties,
    },
  };
  const { ensureView } = deps.catalog.bindings;
  let answer: Awaited<ReturnType<typeof ensureView>>;
  try {
    answer = await ensureView(request);
  } catch (error) {
    if (!isNameTaken(error) || !(await tableDroppedUpstream(deps, source, connector.connectorId, view))) throw error;
    answer = await ensureView({ ...request, replacesTable: true });
    const reason = 'upstream has a view by its name instead';
    await changes?.tell(goneChange(connector, 'tables', { upstream: request.upstream }, 'DROP', reason));
  }
  return told(answer);
}

function viewChange(view: ViewRef, to: TableDestination, known: Binding | undefined, made: boolean): Change {
  const reasons = [
    ...(known?.missing ? ['is there again'] : []),
    ...(known?.objectId && hasMoved(known, to)
      ? [`moves from ${formatName([...known.namespacePath, known.name])}`]
      : []),
    ...(known?.objectId === '' ? ['takes over the view of that name, which no connector owns'] : []),
  ];
  return {
    kind: 'VIEW',
    action: made ? 'CREATE' : 'UPDATE',
    name: [...view.namespace, view.name],
    destination: [...to.namespacePath, to.name],
    reason: made ? 'not in the catalog yet' : reasons.join(', ') || 'its definition changed',
  };
}

function isUnchanged(known: Binding, descriptor: ViewDescriptor, to: TableDestination): boolean {
  return (
    known.objectId !== '' && !known.missing && known.fingerprint === descriptor.fingerprint && !hasMoved(known, to)
  );
}

/** How a view stands in failures. */
export function viewText(view: ViewRef): string {
  return `view ${tableText(view)}`;
}
