import {
  SnapshotSelectionKind as Kind,
  CaptureMode as ModeMessage,
  type SnapshotSelection as SelectionMessage,
} from '../generated/reconciler/v1/capture.ts';
import type { CaptureMode, SnapshotSelection } from './job.ts';

const MODES = {
  [ModeMessage.CAPTURE_MODE_UNSPECIFIED]: undefined,
  [ModeMessage.CAPTURE_MODE_METADATA_AND_CAPTURE]: 'METADATA_AND_CAPTURE',
  [ModeMessage.CAPTURE_MODE_METADATA_ONLY]: 'METADATA_ONLY',
  [ModeMessage.CAPTURE_MODE_CAPTURE_ONLY]: 'CAPTURE_ONLY',
} as const;

/** A capture mode as workflows represent it; undefined if the message states none. */
export function captureModeFromProto(message: ModeMessage | undefined): CaptureMode | undefined {
  return message && MODES[message];
}

/** A workflow's capture mode in the API; unspecified if there is none. */
export function captureModeToProto(mode: CaptureMode | undefined): ModeMessage {
  return mode === undefined ? ModeMessage.CAPTURE_MODE_UNSPECIFIED : ModeMessage[`CAPTURE_MODE_${mode}`];
}

/** A snapshot selection as workflows represent it; undefined if the message states none. */
export function snapshotSelectionFromProto(message: SelectionMessage | undefined): SnapshotSelection | undefined {
  if (!message) return undefined;
  const branches = message.branches.length > 0 ? { branches: message.branches } : {};
  switch (message.kind) {
    case Kind.SNAPSHOT_SELECTION_KIND_CURRENT:
      return { kind: 'CURRENT', ...branches };
    case Kind.SNAPSHOT_SELECTION_KIND_LATEST_N:
      return { kind: 'LATEST_N', latest: message.latest, ...branches };
    case Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT:
      return { kind: 'EXPLICIT', snapshotIds: message.snapshotIds.map(String), ...branches };
    default:
      return { kind: 'ALL', ...branches };
  }
}
