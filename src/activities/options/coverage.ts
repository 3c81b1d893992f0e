import { createHash } from 'node:crypto';
import type { CaptureOptions } from '../../contract/activities.ts';
import type { SnapshotSelection } from '../../contract/job.ts';
import { formatName } from '../../names.ts';

/**
 * What the catalog has of a table's state, so that a table counts as unchanged only for a job that finds everything it takes there: facts
 * such as `snapshots=latest:3` (all snapshots that this selection takes are in) and `files=latest:3` (those of them that are in are
 * captured). An empty text means everything, which most tables have.
 */
const EVERYTHING = ['snapshots=all', 'files=all'];
/** The key of what is taken of a table whose history is long, if no snapshots are selected. */
const DEFAULT = 'default';
/** Facts of each kind. Older ones are forgotten, which costs reading the table's metadata once more. */
const MAX_FACTS = 4;
/** Longer keys are hashed. */
const MAX_KEY_LENGTH = 60;

/** Whether a table with this coverage has everything of its state that these options take. */
export function covers(coverage: string, { snapshots, mode, selectsByDefault }: CaptureOptions): boolean {
  const facts = factsOf(coverage);
  const keys = ['all', selectsByDefault ? DEFAULT : selectionKey(snapshots)];
  const has = (what: string) => keys.some((key) => facts.includes(`${what}=${key}`));
  return (mode === 'CAPTURE_ONLY' || has('snapshots')) && (mode === 'METADATA_ONLY' || has('files'));
}

/**
 * The coverage after a job has ingested what it takes.
 *
 * @param before the coverage of the same state; undefined if the state is new
 */
export function coverageAfter(
  before: string | undefined,
  { snapshots, mode, selectsByDefault }: CaptureOptions,
  { leavesFiles }: { leavesFiles: boolean },
): string {
  const key = selectsByDefault && snapshots.kind !== 'ALL' ? DEFAULT : selectionKey(snapshots);
  const facts = before === undefined ? [] : factsOf(before);
  const factsAfter = (what: string, isAdded: boolean) => {
    const known = facts.filter((fact) => fact.startsWith(`${what}=`) && !(what === 'files' && leavesFiles));
    const all = isAdded ? [...new Set([`${what}=${key}`, ...known])] : known;
    return all.includes(`${what}=all`) ? [`${what}=all`] : all.slice(0, MAX_FACTS);
  };
  const after = [...factsAfter('snapshots', mode !== 'CAPTURE_ONLY'), ...factsAfter('files', mode !== 'METADATA_ONLY')];
  return after.join() === EVERYTHING.join() ? '' : after.join(' ');
}

const factsOf = (coverage: string) => (coverage === '' ? EVERYTHING : coverage.split(' '));

/** Equal for selections that take the same snapshots. */
function selectionKey({ kind, latest, snapshotIds = [], branches = [] }: SnapshotSelection): string {
  const what = kind === 'LATEST_N' ? `latest:${latest}` : kind === 'EXPLICIT' ? [...snapshotIds].sort().join() : 'all';
  const where = branches.length > 0 ? `@${[...branches].sort().map((branch) => formatName([branch]))}` : '';
  const key = what + where;
  if (key.length <= MAX_KEY_LENGTH && !key.includes(' ')) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}
