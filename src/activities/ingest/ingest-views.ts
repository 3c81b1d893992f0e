import { setTimeout } from 'node:timers/promises';
import type { ViewRef } from '../../connectors/spi.ts';
import { CodedError } from '../../errors.ts';
import type { Binding } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { ChangeList } from '../dry-run/change-list.ts';
import { goneChange } from '../dry-run/object-changes.ts';
import { lookUpBindings } from '../missing/bindings.ts';
import { tableText } from '../options/destination.ts';
import type { OutcomeList } from '../outcomes/outcome-list.ts';
import { DestinationNamespaces } from '../plan/destination-namespaces.ts';
import { planView, type ViewIngest, viewChange } from '../plan/view-plan.ts';
import { describeError, isCatalogAway, isFinal } from '../runtime/failures.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import { inParallel } from '../runtime/in-parallel.ts';
import { putView } from './put-view.ts';

/** Requests to the upstream at the same time. */
const PARALLEL = 8;
/** Passes over the views of a page that failed with transient errors. */
const PASSES = 3;
/** Wait before another pass, longer if the upstream asks for it. Well below the watchdog's time. */
const WAIT_MS = 1_000;
const MAX_WAIT_MS = 30_000;

export interface ViewsIngest extends Omit<ViewIngest, 'namespaces'> {
  heartbeat: Heartbeat;
  /** In a dry run: takes what would change. Absent: the views are written. */
  changes?: ChangeList;
  /** Takes what was done to the views. */
  outcomes: OutcomeList;
}

export interface ViewFailure {
  view: ViewRef;
  code: string;
  message: string;
}

/**
 * Brings a page of views up to date: one request to the upstream for each, and one call to the catalog for each that has changed. The
 * result lists views that fail; the others are ingested.
 *
 * @throws the catalog's error if it cannot be reached: every view would fail
 */
export async function ingestViews(
  input: ViewsIngest,
  views: readonly ViewRef[],
): Promise<{ changed: number; failures: ViewFailure[] }> {
  if (views.length === 0) return { changed: 0, failures: [] };
  const { deps, connector, heartbeat } = input;
  const before = await lookUpBindings(deps, connector, 'views', views);
  const namespaces = new DestinationNamespaces(deps, connector, input.changes);
  const failures: ViewFailure[] = [];
  let changed = 0;
  let remaining = views.map((view, i) => ({ view, before: before[i] }));
  for (let pass = 1; remaining.length > 0; pass++) {
    const failed: typeof remaining = [];
    let wait = WAIT_MS * pass;
    await inParallel(remaining, PARALLEL, async (item) => {
      heartbeat.signal.throwIfAborted();
      try {
        if (await ingestView({ ...input, namespaces }, item.view, item.before)) changed += 1;
      } catch (error) {
        if (heartbeat.signal.aborted || isCatalogAway(error)) throw error;
        if (isFinal(error) || pass === PASSES) failures.push({ view: item.view, ...describeError(error) });
        else failed.push(item);
        if (error instanceof CodedError) wait = Math.max(wait, error.retryAfterMs ?? 0);
      }
      heartbeat.beat();
    });
    remaining = failed;
    if (failed.length > 0) await setTimeout(Math.min(wait, MAX_WAIT_MS), undefined, { signal: heartbeat.signal });
  }
  return { changed, failures };
}

/** @returns whether the view was written, or would be */
async function ingestView(
  input: ViewsIngest & ViewIngest,
  view: ViewRef,
  before: Binding | undefined,
): Promise<boolean> {
  const { connector, changes, outcomes } = input;
  const began = performance.now();
  const plan = await planView(input, view, before);
  if (!plan) return false;
  const result = await putView(input, plan, changes !== undefined);
  if (changes && result.replacesTable) {
    const reason = 'upstream has a view by its name instead';
    await changes.record(goneChange(connector, 'tables', plan.request.upstream, 'DROP', reason));
  }
  if (changes && result.changed) await changes.record(viewChange(plan, result));
  if (!changes && result.changed) {
    const { destination } = plan;
    const done = result.made ? 'CREATED' : 'UPDATED';
    outcomes.add({ kind: 'VIEW', result: done, connector, upstream: view, destination, began, counts: {} });
  }
  return result.changed;
}

/** A view's name in failures. */
export function viewText(view: ViewRef): string {
  return `view ${tableText(view)}`;
}
