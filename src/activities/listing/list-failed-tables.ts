import type { WalkCursor } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { JobFailureKind } from '../../generated/reconciler/v1/jobs.ts';
import { parseName } from '../../names.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { Walked } from './walk-namespaces.ts';

const PAGE = 100;

/** A page of the tables, or views, that failed in a job: a retry uses it instead of walking the upstream. */
export async function listFailedTables(
  { catalog }: Pick<ActivityDeps, 'catalog'>,
  jobId: string,
  what: 'tables' | 'views',
  cursor: WalkCursor | undefined,
): Promise<Walked<TableRef>> {
  const pageToken = cursor?.failures ?? '';
  const { failures, nextPageToken } = await catalog.jobs.listJobFailures({ jobId, pageSize: PAGE, pageToken });
  const kind = what === 'tables' ? JobFailureKind.JOB_FAILURE_KIND_TABLE : JobFailureKind.JOB_FAILURE_KIND_VIEW;
  return {
    items: failures.filter((failure) => failure.kind === kind).map(({ table }) => refOf(table.replace(/^view /, ''))),
    refused: [],
    namespacesLeftOut: 0,
    otherKinds: 0,
    ...(nextPageToken ? { cursor: { parents: [], failures: nextPageToken } } : {}),
  };
}

function refOf(text: string): TableRef {
  const parts = parseName(text);
  return { namespace: parts.slice(0, -1), name: parts.at(-1) ?? '' };
}
