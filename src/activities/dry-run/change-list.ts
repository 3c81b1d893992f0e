import { activityInfo } from '@temporalio/activity';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { type JobChange, JobChangeAction, JobChangeKind } from '../../generated/reconciler/v1/jobs.ts';
import { formatName } from '../../names.ts';
import { catalogNameOf } from '../options/destination.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { Change } from './change.ts';

/** Changes per call. */
const PAGE = 100;

/** Collects what the activity of a dry run would do, and records it with the job in pages. Recording a change twice has no effect. */
export class ChangeList {
  readonly #catalog: ActivityDeps['catalog'];
  readonly #connector: Connector;
  readonly #jobId = activityInfo().workflowExecution?.workflowId ?? '';
  #changes: JobChange[] = [];

  constructor({ catalog }: Pick<ActivityDeps, 'catalog'>, connector: Connector) {
    this.#catalog = catalog;
    this.#connector = connector;
  }

  /**
   * Records the change at once.
   *
   * @throws ALREADY_EXISTS if another table or view of the job would have its name in the destination by then
   */
  async record(change: Change): Promise<void> {
    await this.#send([this.#message(change)]);
  }

  /** Records the change with others, none of which takes a name. */
  async add(change: Change): Promise<void> {
    this.#changes.push(this.#message(change));
    if (this.#changes.length >= PAGE) await this.flush();
  }

  /** Records what was added; to be called at the end. */
  async flush(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) await this.#send(changes);
  }

  async #send(changes: JobChange[]): Promise<void> {
    await this.#catalog.reconciliation.recordJobChanges({ jobId: this.#jobId, changes });
  }

  #message({ kind, action, name, destination, reason }: Change): JobChange {
    return {
      kind: JobChangeKind[`JOB_CHANGE_KIND_${kind}`],
      action: JobChangeAction[`JOB_CHANGE_ACTION_${action}`],
      name: formatName([...name]),
      destination: formatName([this.catalogName, ...destination]),
      reason,
    };
  }

  get catalogName(): string {
    return catalogNameOf(this.#connector);
  }
}

/** The list of a dry run; undefined for a run that writes. */
export function openChangeList(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  { dryRun }: { dryRun?: boolean },
): ChangeList | undefined {
  return dryRun ? new ChangeList(deps, connector) : undefined;
}
