import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  CaptureMode,
  captureModeFromJSON,
  SnapshotSelectionKind as Kind,
  SnapshotSelection,
} from '../../generated/reconciler/v1/capture.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { formatName, parseName } from '../../names.ts';
import { word } from '../io/format.ts';
import { list, positiveInteger, snapshotId } from '../io/options.ts';

/** Values of the options that say what is brought in of each table, of a connector or of one job. */
export interface CaptureFlags {
  snapshots?: SnapshotSelection;
  branches?: string[];
  mode?: string;
}

const MODES = ['metadata-and-capture', 'metadata-only', 'capture-only'];

export function addTakingOptions(command: Command): Command {
  return command
    .option(
      '--snapshots <which>',
      'all, current, latest:N (of each branch), or the ids of some, comma-separated',
      selection,
    )
    .option('--branches <list>', 'only what these branches hold, such as main,audit', list)
    .addOption(
      new Option('--mode <mode>', 'with files and statistics, without them, or only those of what is in').choices(
        MODES,
      ),
    );
}

/** The selection that the options give; undefined where they give none. An empty list of branches alone takes all again. */
export function snapshotsOf({ snapshots, branches }: CaptureFlags): SnapshotSelection | undefined {
  if (!snapshots && !branches) return undefined;
  const all = { kind: Kind.SNAPSHOT_SELECTION_KIND_ALL };
  return SnapshotSelection.fromPartial({ ...(snapshots ?? all), branches: (branches ?? []).map(branchOf) });
}

/** A branch may have dots in its name; only one that holds a comma, or begins with a quote, has to be quoted. */
const branchOf = (text: string) => (/^["']/.test(text) ? parseName(text).join('.') : text);

export function captureModeFromFlag({ mode }: CaptureFlags): CaptureMode | undefined {
  return mode === undefined
    ? undefined
    : captureModeFromJSON(`CAPTURE_MODE_${mode.toUpperCase().replaceAll('-', '_')}`);
}

/** `latest:3 of main, audit`; undefined for all. */
export function snapshotsText({ source }: Connector): string | undefined {
  if (!source?.snapshots) return undefined;
  const { kind, latest, snapshotIds, branches } = source.snapshots;
  const of = branches.length > 0 ? ` of ${branches.map((branch) => formatName([branch])).join(', ')}` : '';
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_LATEST_N) return `latest:${latest}${of}`;
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT) return `${snapshotIds.join(',')}${of}`;
  return `${word(kind, 'SNAPSHOT_SELECTION_KIND_')}${of}`;
}

/** Undefined where the policy says none. */
export function modeText({ policy }: Connector): string | undefined {
  const mode = policy?.mode ?? CaptureMode.CAPTURE_MODE_UNSPECIFIED;
  if (mode === CaptureMode.CAPTURE_MODE_UNSPECIFIED) return undefined;
  return word(mode, 'CAPTURE_MODE_').replaceAll(' ', '-');
}

function selection(text: string): SnapshotSelection {
  const [, count] = /^latest:(.*)$/.exec(text) ?? [];
  if (text === 'all') return SnapshotSelection.fromPartial({ kind: Kind.SNAPSHOT_SELECTION_KIND_ALL });
  if (text === 'current') return SnapshotSelection.fromPartial({ kind: Kind.SNAPSHOT_SELECTION_KIND_CURRENT });
  if (count !== undefined) {
    const latest = positiveInteger(count);
    return SnapshotSelection.fromPartial({ kind: Kind.SNAPSHOT_SELECTION_KIND_LATEST_N, latest });
  }
  const ids = list(text);
  if (ids.length === 0) throw new InvalidArgumentError('Give all, current, latest:N or ids of snapshots.');
  return SnapshotSelection.fromPartial({
    kind: Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT,
    snapshotIds: ids.map(snapshotId),
  });
}
