import { modeOf, selectionOf } from '../clients/taking-messages.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import type { CaptureMode, SnapshotSelection } from '../workflows/contract.ts';

/** What a job takes of each table. */
export interface Taking {
  /** CURRENT is LATEST_N of 1. */
  snapshots: SnapshotSelection;
  mode: CaptureMode;
}

/** What the run itself says of it, in the inputs of activities. */
export type TakingInput = Partial<Taking>;

/** What the run says, else what the connector does. */
export function takingOf({ source, policy }: Connector, input: TakingInput): Taking {
  const snapshots = input.snapshots ?? selectionOf(source?.snapshots) ?? { kind: 'ALL' };
  return {
    snapshots: snapshots.kind === 'CURRENT' ? { ...snapshots, kind: 'LATEST_N', latest: 1 } : snapshots,
    mode: input.mode ?? modeOf(policy?.mode) ?? 'METADATA_AND_CAPTURE',
  };
}
