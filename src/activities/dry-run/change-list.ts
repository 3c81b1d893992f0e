import { activityInfo } from '@temporalio/activity';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { type JobChange, JobChangeAction, JobChangeKind } from '../../generated/reconciler/v1/jobs.ts';
import { formatName } from '../../names.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Changes a call. */
const PAGE = 100;

/** What a dry run would do to one object. */
export interface Change {
  kind: 'CATALOG' | 'NAMESPACE' | 'TABLE' | 'VIEW' | 'SNAPSHOTS';
  action: 'CREATE' | 'UPDATE' | 'VERIFY' | 'MARK_MISSING' | 'DROP';
  /** The upstream's; of a catalog or namespace the destination's own. */
  name: readonly string[];
  /** Below the destination's catalog. */
  destination: readonly string[];
  /** For people. */
  reason: string;
}

/** Gathers what the activity of a dry run would do, and tells the catalog a page at a time. Told twice, a change is there once. */
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
   * Tells it at once.
   *
   * @throws ALREADY_EXISTS where another table or view of the job would have its name in the destination by then
   */
  async tell(change: Change): Promise<void> {
    await this.#record([this.#message(change)]);
  }

  /** Tells it with others, of which none takes a name. */
  async add(change: Change): Promise<void> {
    this.#changes.push(this.#message(change));
    if (this.#changes.length >= PAGE) await this.flush();
  }

  /** Tells what was added; to be called at the end. */
  async flush(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) await this.#record(changes);
  }

  async #record(changes: JobChange[]): Promise<void> {
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
    const { destination, displayName } = this.#connector;
    return destination?.catalogName || destination?.catalogId || displayName;
  }
}

/** `1 new snapshot`, `3 new snapshots`. */
export const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;
