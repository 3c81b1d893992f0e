import type { CaptureOptions, CaptureOverrides } from '../../contract/activities.ts';
import { captureModeFromProto, snapshotSelectionFromProto } from '../../contract/capture-options-proto.ts';
import { DEFAULT_VERSIONS, type SnapshotSelection } from '../../contract/job.ts';
import type { TableFormat } from '../../formats/table-reader.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';

/** The run's own options, otherwise the connector's. */
export function resolveCaptureOptions({ source, policy }: Connector, input: CaptureOverrides): CaptureOptions {
  const selected = input.snapshots ?? snapshotSelectionFromProto(source?.snapshots);
  const snapshots: SnapshotSelection = selected ?? { kind: 'ALL' };
  return {
    snapshots: snapshots.kind === 'CURRENT' ? { ...snapshots, kind: 'LATEST_N', latest: 1 } : snapshots,
    mode: input.mode ?? captureModeFromProto(policy?.mode) ?? 'METADATA_AND_CAPTURE',
    ...(selected === undefined && { selectsByDefault: true }),
  };
}

/**
 * The options for one table. Every commit of a Delta table is a snapshot, and its log may keep a hundred thousand of them: unless snapshots are
 * selected, only the newest of a long history are taken.
 *
 * @param snapshots number of snapshots that the table has
 */
export function optionsFor(capture: CaptureOptions, format: TableFormat, snapshots: number): CaptureOptions {
  if (!capture.selectsByDefault || format !== 'DELTA' || snapshots <= DEFAULT_VERSIONS) return capture;
  return { ...capture, snapshots: { kind: 'LATEST_N', latest: DEFAULT_VERSIONS } };
}
