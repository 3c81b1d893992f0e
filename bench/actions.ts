import proto, { type temporal } from '@temporalio/proto';

type Event = temporal.api.history.v1.IHistoryEvent;

const { EventType } = proto.temporal.api.enums.v1;
/** The search attribute that the server sets for `patched()`; Temporal Cloud does not bill its upsert. */
const CHANGE_VERSION = 'TemporalChangeVersion';
/** The search attribute of workflows that a schedule started. */
const SCHEDULED_BY = 'TemporalScheduledById';

/**
 * Actions by kind: what Temporal Cloud bills. The names are those of its metric; `schedule_workflow` are the two that a schedule adds to
 * the start of a workflow. See https://docs.temporal.io/cloud/actions.
 */
export type Actions = Record<string, number>;

/**
 * Counts the actions that a run's history shows; a job that continued as new has one history per run. Heartbeats and queries are not in
 * histories: see `countHeartbeats`. Of a child workflow, only the two actions of its start are counted.
 */
export function actionsIn(events: Event[]): Actions {
  const actions: Actions = {};
  /** All markers of one workflow task are one action. */
  const markedTasks = new Set<string>();
  for (const event of events) {
    for (const [kind, count] of billed(event)) add(actions, kind, count);
    const { markerRecordedEventAttributes: marker } = event;
    if (marker) markedTasks.add(String(marker.workflowTaskCompletedEventId));
  }
  if (markedTasks.size > 0) add(actions, 'record_activity_markers', markedTasks.size);
  return actions;
}

function billed(event: Event): [kind: string, count: number][] {
  switch (event.eventType) {
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: {
      const { continuedExecutionRunId, searchAttributes } = event.workflowExecutionStartedEventAttributes!;
      if (continuedExecutionRunId) return [['continue_as_new_workflow', 1]];
      const scheduled = SCHEDULED_BY in (searchAttributes?.indexedFields ?? {});
      return [['start_workflow', 1], ...(scheduled ? [['schedule_workflow', 2] as [string, number]] : [])];
    }
    case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
      return [['schedule_activity', 1]];
    // Failed attempts that are retried have no events of their own.
    case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
      return [['retry_activity', (event.activityTaskStartedEventAttributes!.attempt ?? 1) - 1]];
    case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED: {
      const { meteringMetadata } = event.workflowTaskCompletedEventAttributes!;
      return [['retry_activity_local', meteringMetadata?.nonfirstLocalActivityExecutionAttempts ?? 0]];
    }
    case EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: {
      const { searchAttributes } = event.upsertWorkflowSearchAttributesEventAttributes!;
      const isPatch = Object.keys(searchAttributes?.indexedFields ?? {}).every((name) => name === CHANGE_VERSION);
      return isPatch ? [] : [['upsert_workflow_search_attributes', 1]];
    }
    case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
      return [['start_child_workflow', 2]];
    case EventType.EVENT_TYPE_TIMER_STARTED:
      return [['start_timer', 1]];
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
      return [['signal_workflow', 1]];
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
      return [['accept_workflow_update', 1]];
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED:
      return [['update_workflow_options', 1]];
    default:
      return [];
  }
}

export function addActions(to: Actions, more: Actions): void {
  for (const [kind, count] of Object.entries(more)) add(to, kind, count);
}

function add(actions: Actions, kind: string, count: number): void {
  if (count > 0) actions[kind] = (actions[kind] ?? 0) + count;
}

export const totalOf = (actions: Actions) => Object.values(actions).reduce((sum, count) => sum + count, 0);
