import { pino } from 'pino';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { HEARTBEAT_MS } from '../../src/activities/runtime/worker-context.ts';
import type { UpstreamCatalog } from '../../src/connectors/spi.ts';
import type { TestCatalog } from '../catalog/harness.ts';

/** The dependencies of activities: a real catalog, and this upstream for every connector. */
export function activityDeps(
  catalog: TestCatalog,
  upstream: UpstreamCatalog,
  logger = pino({ level: 'silent' }),
): ActivityDeps {
  return {
    catalog: catalog.clients,
    jobs: { describe: async () => undefined },
    openConnector: async () => upstream,
    openUncached: async () => upstream,
    hasSearchAttributes: async () => false,
    heartbeatMs: HEARTBEAT_MS,
    logger,
  };
}
