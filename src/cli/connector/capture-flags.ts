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

/** Values of the options that select what is ingested of each table, for a connector or for one job. */
export interface CaptureFlags {
  snapshots?: SnapshotSelection;
  branches?: string[];
  mode?: string;
}

const MODES = ['metadata-and-capture', 'metadata-only', 'capture-only'];

export function addCaptureOptions(command: Command): Command {
  return command
    .option('--snapshots <which>', 'all, current, latest:N (per branch), or comma-separated snapshot ids', selection)
    .option('--branches <list>', 'only snapshots on these branches, such as main,audit', list)
    .addOption(
      new Option(
        '--mode <mode>',
        'capture mode: metadata and files, only metadata, or only the files of snapshots that are already there',
      ).choices(MODES),
    );
}

/** The selected snapshots; undefined if no option selects any. An empty list of branches alone selects all snapshots again. */
export function snapshotsOf({ snapshots, branches }: CaptureFlags): SnapshotSelection | undefined {
  if (!snapshots && !branches) return undefined;
  const all = { kind: Kind.SNAPSHOT_SELECTION_KIND_ALL };
  return SnapshotSelection.fromPartial({ ...(snapshots ?? all), branches: (branches ?? []).map(branchOf) });
}

/** A branch name may contain dots; only names with a comma, or with a quote at the start, must be quoted. */
const branchOf = (text: string) => (/^["']/.test(text) ? parseName(text).join('.') : text);

export function captureModeFromFlag({ mode }: CaptureFlags): CaptureMode | undefined {
  return mode === undefined
    ? undefined
    : captureModeFromJSON(`CAPTURE_MODE_${mode.toUpperCase().replaceAll('-', '_')}`);
}

/** `latest:3 on main, audit`; undefined for all. */
export function snapshotsText({ source }: Connector): string | undefined {
  if (!source?.snapshots) return undefined;
  const { kind, latest, snapshotIds, branches } = source.snapshots;
  const onBranches = branches.length > 0 ? ` on ${branches.map((branch) => formatName([branch])).join(', ')}` : '';
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_LATEST_N) return `latest:${latest}${onBranches}`;
  if (kind === Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT) return `${snapshotIds.join(',')}${onBranches}`;
  return `${word(kind, 'SNAPSHOT_SELECTION_KIND_')}${onBranches}`;
}

/** The values of `--snapshots` and `--branches` for this connector; undefined if they were not given. */
export function declaredSnapshots({ source }: Connector): { snapshots?: string; branches?: string[] } {
  if (!source?.snapshots) return {};
  const { kind, latest, snapshotIds, branches } = source.snapshots;
  const texts: Partial<Record<Kind, string>> = {
    [Kind.SNAPSHOT_SELECTION_KIND_CURRENT]: 'current',
    [Kind.SNAPSHOT_SELECTION_KIND_LATEST_N]: `latest:${latest}`,
    [Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT]: snapshotIds.join(','),
    [Kind.SNAPSHOT_SELECTION_KIND_ALL]: branches.length === 0 ? 'all' : undefined,
  };
  return {
    snapshots: texts[kind],
    branches: branches.map((branch) => (/^["']/.test(branch) ? formatName([branch]) : branch)),
  };
}

/** Undefined if the policy sets no capture mode. */
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
  if (ids.length === 0)
    throw new InvalidArgumentError('selects no snapshots: give all, current, latest:N or snapshot ids');
  return SnapshotSelection.fromPartial({
    kind: Kind.SNAPSHOT_SELECTION_KIND_EXPLICIT,
    snapshotIds: ids.map(snapshotId),
  });
}
