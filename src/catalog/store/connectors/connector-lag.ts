import type { Kysely } from 'kysely';
import { durationSeconds } from '../../../durations.ts';
import { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import { TENANT } from '../../identity/tenant.ts';
import type { Schema } from '../database/schema.ts';

/** How a connector's runs stand. Times in milliseconds since the epoch. */
export interface ConnectorLag {
  name: string;
  /** When its last good run ended: one of all its tables, that wrote. Without any, when the connector was made. */
  goodSince: number;
  /** 0 where it has no schedule by interval, or it does not run now. */
  intervalSeconds: number;
  /** Of a run that was not narrowed, or a retry of one. */
  lastFailed: boolean;
  running: number;
  queued: number;
  /** Of a connector that is paused or being deleted nobody is to take up any. */
  oldestQueuedAt?: number;
}

/** Of every connector. A handful of looks into indexes each, however many jobs there were. */
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
          // A run of a part says nothing of the rest.
          .where('j.request_json', 'not like', '%"scope":%')
          .where('j.request_json', 'not like', '%"retryOf":%')
          .orderBy('j.created_at', 'desc')
          .limit(1)
          .as('goodAt'),
        jobs
          .select('j.state')
          .where('j.state', 'in', ['JS_SUCCEEDED', 'JS_FAILED'])
          .where('j.dry_run', '=', 0)
          // Nor is it one that somebody tried a part with; a retry takes all that had failed.
          .where('j.request_json', 'not like', '%"scope":%')
          .orderBy('j.created_at', 'desc')
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
