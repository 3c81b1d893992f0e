import { setTimeout as sleep } from 'node:timers/promises';

/** The server publishes its counts once per second. */
const PUBLISHED_MS = 1_500;

/**
 * Counts the heartbeats of activities that have reached a Temporal server since it started, of all jobs together. Each is an action; those
 * that the SDK holds back are not. Histories do not contain them, but the server counts them in its metric `action`.
 *
 * @param metricsAddress where the server serves `/metrics`, host:port
 */
export async function countHeartbeats(metricsAddress: string): Promise<number> {
  await sleep(PUBLISHED_MS);
  const metrics = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const lines = metrics.matchAll(/^action\{[^}]*action_type="grpc_RecordActivityTaskHeartbeat[^}]*\} (\S+)$/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
