import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { FileGroupInput, GroupOutcome, TableHeartbeat } from '../contract/activities.ts';
import { EncodedChanges } from './ingest/ahead/encoded-changes.ts';
import { abortIfTableChanged } from './ingest/changed-table.ts';
import { groupName, stageKey } from './ingest/file-groups.ts';
import { withFooterMetrics } from './ingest/footer-metrics.ts';
import { streamChanges } from './ingest/stream-changes.ts';
import { tableText } from './options/destination.ts';
import { OutcomeList } from './outcomes/outcome-list.ts';
import { knownTable } from './plan/known-table.ts';
import { ancestryOf } from './plan/select-snapshots.ts';
import { selectedColumns } from './plan/selected-columns.ts';
import { activeUnlessCounted } from './runtime/active-connector.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstream } from './runtime/open-upstream.ts';
import { requestsMade } from './runtime/request-count.ts';

/**
 * Stages one group of a snapshot's file changes, as far as a slice allows. The next attempt continues at the position of the last heartbeat; a
 * change that is sent twice has no effect. Nothing becomes visible: `ingestTable` finishes the snapshot when all groups are in.
 *
 * The error is ABORTED, and not retried, if the snapshot or its base is gone or other columns are selected by now: the table is to be
 * planned again.
 */
export async function ingestFileGroup(deps: ActivityDeps, input: FileGroupInput): Promise<GroupOutcome> {
  const resume = activityInfo().heartbeatDetails as TableHeartbeat | undefined;
  const { table, tableId, group } = input;
  const snapshotId = BigInt(input.snapshotId);
  const continues = ({ at }: GroupOutcome) => at !== undefined;
  return withHeartbeat(
    `Files of snapshot ${snapshotId} of table ${tableText(table)}`,
    { ...input, continues },
    async (heartbeat) => {
      const began = performance.now();
      const reached = resume?.cursor?.position;
      const filesBefore = resume?.filesBefore ?? 0;
      const connector = await activeUnlessCounted(deps, input.connectorId, reached !== undefined);
      if (!connector) return { counts: { ...resume?.counts, filesIngested: filesBefore }, at: reached };
      await using upstream = await openUpstream(deps, connector);
      await using opened = await upstream.openTable(table, knownTable(deps, connector, table));
      const reader = withFooterMetrics(opened, connector.properties, deps.logger);
      const columnIds = selectedColumns({ connector, scope: input.scope }, reader);
      const base = input.base === undefined ? undefined : BigInt(input.base);
      const ancestry = ancestryOf(reader.history());
      const gone = [snapshotId, base].filter((id) => id !== undefined && !ancestry.has(id));
      if (gone.length > 0) throw aborted(`Snapshot ${gone.join(' and ')} of the table is gone`);
      if (stageKey({ tableId, snapshot: { snapshotId }, base, ancestry, columnIds }) !== input.key) {
        throw aborted('Other columns are selected by now, or a snapshot is another one');
      }
      const start = reached ?? group.at;
      const { files, position } = await abortIfTableChanged(upstream, table, reader, () =>
        streamChanges({
          deps,
          header: () => ({ tableId, snapshotId, idempotencyKey: input.key, replace: false, whole: false }),
          changes: new EncodedChanges(
            reader.fileChanges(snapshotId, {
              base,
              from: start ?? group.from,
              to: group.to,
              columnIds,
              signal: heartbeat.signal,
            }),
          ),
          from: start,
          finish: () => ({ $case: 'groupFinish', value: { group: groupName(group) } }),
          beat: (sent, acknowledged) =>
            heartbeat.beat({
              counts: { filesIngested: filesBefore + sent, bytesRead: reader.bytesRead },
              cursor: { snapshotId: input.snapshotId, position: acknowledged.position },
              filesBefore: filesBefore + acknowledged.files,
            } satisfies TableHeartbeat),
          signal: heartbeat.signal,
          isOver: heartbeat.isOver,
        }),
      );
      const counts = {
        filesIngested: filesBefore + files,
        bytesRead: reader.bytesRead,
        upstreamRequests: requestsMade(upstream.usage),
      };
      // The table itself records how it ended.
      const outcomes = new OutcomeList(deps);
      outcomes.add({ kind: 'TABLE', result: 'UNFINISHED', connector, upstream: table, began, counts });
      await outcomes.flush();
      return { counts, ...(position !== undefined && { at: position }) };
    },
  );
}

function aborted(reason: string): ApplicationFailure {
  const message = `${reason}: the table is planned again.`;
  return ApplicationFailure.create({ type: 'ABORTED', message, nonRetryable: true });
}
