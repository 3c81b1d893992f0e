import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { CaptureOverrides, TableHeartbeat } from '../../contract/activities.ts';
import type { ReconcileScope } from '../../contract/job.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { ChangeList } from '../dry-run/change-list.ts';
import type { OutcomeList } from '../outcomes/outcome-list.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import type { SplitSize } from '../runtime/split-size.ts';
import type { DestinationNamespaces } from './destination-namespaces.ts';

/** One table to be brought up to date, with everything that this takes. */
export interface TableIngest extends CaptureOverrides {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  connector: Connector;
  upstream: UpstreamCatalog;
  table: TableRef;
  /** Verify the snapshots that are in the catalog, and repair what differs. */
  full: boolean;
  scope?: ReconcileScope;
  /** Report snapshots that an earlier job found to be unreadable. */
  retries?: boolean;
  heartbeat: Heartbeat;
  /** Leave big snapshots to file groups. Absent: every snapshot is ingested in one go. */
  split?: SplitSize;
  /** Where the previous attempt, or slice, stopped. */
  resume?: TableHeartbeat;
  /** Shared by the tables of an activity. */
  namespaces: DestinationNamespaces;
  /** In a dry run: takes what the plan would change. Absent: the plan is applied. */
  changes?: ChangeList;
  /** Takes what was done to the table. */
  outcomes: OutcomeList;
}
