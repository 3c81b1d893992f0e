import type { CaptureOptions, CaptureOverrides } from '../../contract/activities.ts';
import { captureModeFromProto, snapshotSelectionFromProto } from '../../contract/capture-options-proto.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';

/** The run's own options, otherwise the connector's. */
export function resolveCaptureOptions({ source, policy }: Connector, input: CaptureOverrides): CaptureOptions {
  const snapshots = input.snapshots ?? snapshotSelectionFromProto(source?.snapshots) ?? { kind: 'ALL' };
  return {
    snapshots: snapshots.kind === 'CURRENT' ? { ...snapshots, kind: 'LATEST_N', latest: 1 } : snapshots,
    mode: input.mode ?? captureModeFromProto(policy?.mode) ?? 'METADATA_AND_CAPTURE',
  };
}
