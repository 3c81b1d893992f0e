import { createHash } from 'node:crypto';
import type { CaptureOptions } from '../../contract/activities.ts';
import type { SnapshotSelection } from '../../contract/job.ts';
import { formatName } from '../../names.ts';

/**
 * What the catalog has of a table's state, so that 'unchanged' is said only to a job that finds there all it takes: facts such as
 * `snapshots=latest:3` (all that this selection takes are in) and `files=latest:3` (those of them that are in are captured). An empty text
 * stands for all of both, which is what most tables have.
 */
const EVERYTHING = ['snapshots=all', 'files=all'];
/** Of either kind. More than a connector and the odd trigger say of one state of a table are forgotten, which costs reading its metadata. */
const MAX_ENTRIES = 4;
/** Longer keys are hashed. */
const MAX_KEY = 60;

/** Whether a table with this coverage has, of the state that it has, all that is taken. */
export function covers(coverage: string, { snapshots, mode }: CaptureOptions): boolean {
  const facts = factsOf(coverage);
  const key = selectionKey(snapshots);
  const has = (what: string) => facts.includes(`${what}=all`) || facts.includes(`${what}=${key}`);
  return (mode === 'CAPTURE_ONLY' || has('snapshots')) && (mode === 'METADATA_ONLY' || has('files'));
}

/**
 * The coverage after a job has brought in what it takes.
 *
 * @param before of the same state; undefined where the state is new
 */
export function coverageAfter(
  before: string | undefined,
  { snapshots, mode }: CaptureOptions,
  { leavesFiles }: { leavesFiles: boolean },
): string {
  const key = selectionKey(snapshots);
  const facts = before === undefined ? [] : factsOf(before);
  const of = (what: string, isAdded: boolean) => {
    const known = facts.filter((fact) => fact.startsWith(`${what}=`) && !(what === 'files' && leavesFiles));
    const all = isAdded ? [...new Set([`${what}=${key}`, ...known])] : known;
    return all.includes(`${what}=all`) ? [`${what}=all`] : all.slice(0, MAX_ENTRIES);
  };
  const after = [...of('snapshots', mode !== 'CAPTURE_ONLY'), ...of('files', mode !== 'METADATA_ONLY')];
  return after.join() === EVERYTHING.join() ? '' : after.join(' ');
}

const factsOf = (coverage: string) => (coverage === '' ? EVERYTHING : coverage.split(' '));

/** Equal for selections that take the same. */
function selectionKey({ kind, latest, snapshotIds = [], branches = [] }: SnapshotSelection): string {
  const what = kind === 'LATEST_N' ? `latest:${latest}` : kind === 'EXPLICIT' ? [...snapshotIds].sort().join() : 'all';
  const where = branches.length > 0 ? `@${[...branches].sort().map((branch) => formatName([branch]))}` : '';
  const key = what + where;
  if (key.length <= MAX_KEY && !key.includes(' ')) return key;
  return `sha256:${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
}
