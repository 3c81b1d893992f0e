import type { Kysely } from 'kysely';
import { durationSeconds } from '../../../durations.ts';
import { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import { TENANT } from '../../identity/tenant.ts';
import type { Schema } from '../database/schema.ts';

/** Status of a connector's runs. Times are milliseconds since 1970. */
export interface ConnectorLag {
  name: string;
  /** End of its last good run, which is a successful run of all tables that was not a dry run; otherwise its creation time. */
  goodSince: number;
  /** 0 if it has no schedule with an interval, or is not active. */
  intervalSeconds: number;
  /** Whether the last run without a scope, or the last retry of such a run, failed. */
  lastFailed: boolean;
  running: number;
  queued: number;
  /** Absent for a connector that is paused or being deleted, since its jobs are not expected to start. */
  oldestQueuedAt?: number;
}

/** The lag of every connector: a few index lookups per connector, however many jobs it has. */
export async function connectorLags(db: Kysely<Schema>): Promise<ConnectorLag[]> {
  const rows = await db
    .selectFrom('connectors as c')
    .select((eb) => {
      const jobs = eb.selectFrom('jobs as j').whereRef('j.connector_id', '=', 'c.connector_id');
      return [
        'c.display_name as name',
        'c.state as state',
        'c.body as body',
        'c.created_at as createdAt',
        jobs
          .select('j.finished_at')
          .where('j.state', '=', 'JS_SUCCEEDED')
          .where('j.dry_run', '=', 0)
          // A run of some tables does not show that the others are up to date.
          .where('j.request_json', 'not like', '%"scope":%')
          .where('j.request_json', 'not like', '%"retryOf":%')
          .orderBy('j.job_num', 'desc')
          .limit(1)
          .as('goodAt'),
        jobs
          .select('j.state')
          .where('j.state', 'in', ['JS_SUCCEEDED', 'JS_FAILED'])
          .where('j.dry_run', '=', 0)
          // Runs with a scope do not count; retries do, since they repeat everything that failed.
          .where('j.request_json', 'not like', '%"scope":%')
          .orderBy('j.job_num', 'desc')
          .limit(1)
          .as('lastState'),
        jobs
          .select((on) => on.fn.countAll<number>().as('n'))
          .where('j.state', '=', 'JS_RUNNING')
          .as('running'),
        jobs
          .select((on) => on.fn.countAll<number>().as('n'))
          .where('j.state', '=', 'JS_QUEUED')
          .as('queued'),
        jobs
          .select((on) => on.fn.min('j.created_at').as('at'))
          .where('j.state', '=', 'JS_QUEUED')
          .as('oldestQueuedAt'),
      ];
    })
    .where('c.tenant_id', '=', TENANT)
    .execute();
  return rows.map((row) => {
    const active = row.state === 'CONNECTOR_STATE_ACTIVE';
    return {
      name: row.name,
      goodSince: row.goodAt ?? row.createdAt,
      intervalSeconds: active ? intervalOf(row.body) : 0,
      lastFailed: row.lastState === 'JS_FAILED',
      running: Number(row.running),
      queued: Number(row.queued),
      ...(active && row.oldestQueuedAt != null && { oldestQueuedAt: row.oldestQueuedAt }),
    };
  });
}

function intervalOf(body: string): number {
  const { policy } = Connector.fromJSON(JSON.parse(body));
  return policy?.enabled ? durationSeconds(policy.interval) : 0;
}
