import type { DesiredSchedule } from '../../contract/schedule-control.ts';
import { durationSeconds } from '../../durations.ts';
import { type Connector, ConnectorState, type ReconcilePolicy } from '../../generated/reconciler/v1/connectors.ts';
import { jobIdPrefix } from '../jobs/job-id.ts';
import { scheduleText } from './schedule-text.ts';
import { spreadOffset } from './spread-offset.ts';

/** The schedule that a connector's policy requires; undefined if it requires none. */
export function desiredSchedule(tenant: string, connector: Connector, catalogId: string): DesiredSchedule | undefined {
  const { policy, state, connectorId, displayName } = connector;
  if (policy === undefined || scheduleText(policy) === '' || state === ConnectorState.CONNECTOR_STATE_DELETING) {
    return undefined;
  }
  const intervalSeconds = durationSeconds(policy.interval);
  return {
    catalogId,
    tenant,
    connector: { id: connectorId, name: displayName },
    // Otherwise connectors whose names normalise to the same text would share job ids if they run at the same time.
    jobIdPrefix: `${jobIdPrefix(tenant, displayName)}-${connectorId.slice(-6)}`,
    intervalSeconds,
    offsetSeconds: spreadOffset(connectorId, intervalSeconds),
    cron: policy.cron,
    timeZone: policy.timeZone,
    jitterSeconds: durationSeconds(policy.jitter),
    notBefore: policy.notBefore,
    pausedBecause: pausedBecause(policy, state),
  };
}

function pausedBecause({ enabled }: ReconcilePolicy, state: ConnectorState): string {
  if (state === ConnectorState.CONNECTOR_STATE_PAUSED) return 'The connector is paused.';
  return enabled ? '' : "The connector's schedule is switched off.";
}
