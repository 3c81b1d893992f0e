import type { Taking, TakingInput } from '../../contract/activities.ts';
import { modeOf, selectionOf } from '../../contract/capture-options-proto.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';

/** What the run says, else what the connector does. */
export function takingOf({ source, policy }: Connector, input: TakingInput): Taking {
  const snapshots = input.snapshots ?? selectionOf(source?.snapshots) ?? { kind: 'ALL' };
  return {
    snapshots: snapshots.kind === 'CURRENT' ? { ...snapshots, kind: 'LATEST_N', latest: 1 } : snapshots,
    mode: input.mode ?? modeOf(policy?.mode) ?? 'METADATA_AND_CAPTURE',
  };
}
