import { join } from 'node:path';
import { expect } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from '../integration/contents/dump.ts';
import { type OpenedTable, openedTables } from './opened-tables.ts';
import type { SyntheticStack } from './synthetic-stack.ts';
import type { SyntheticUpstream } from './synthetic-upstream.ts';

/** A connector whose upstream is slow, and logs which activity reads which table. */
export interface LoggedConnector {
  connectorId: string;
  /** Replaces the upstream's content. The log stays. */
  change(upstream: SyntheticUpstream): void;
  trigger(options?: object): Promise<string>;
  opened(): OpenedTable[];
  /** Fails unless the catalog contains what one undisturbed run brings of the upstream as it is now. */
  expectUndisturbed(): Promise<void>;
}

let connectors = 0;

/** @param maxParallel number of packs at the same time */
export async function loggedConnector(
  stack: SyntheticStack,
  upstream: SyntheticUpstream,
  { maxParallel }: { maxParallel: number },
): Promise<LoggedConnector> {
  const name = `logged${++connectors}`;
  const log = join(stack.folder, `${name}.opened`);
  let current = upstream;
  const uri = stack.upstream(name, { ...upstream, openedTables: log });
  const connectorId = await stack.connect(name, uri, { policy: { maxParallel } });
  return {
    connectorId,
    change(upstream) {
      current = upstream;
      stack.upstream(name, { ...upstream, openedTables: log });
    },
    trigger: async (options = {}) =>
      (await stack.catalog.connectors.triggerReconcile({ connectorId, ...options })).jobId,
    opened: () => openedTables(log),
    async expectUndisturbed() {
      const other = `${name}-undisturbed`;
      const otherId = await stack.connect(other, stack.upstream(other, { ...current, faults: [] }));
      const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId: otherId });
      expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
      const dump = await dumpCatalog(stack.catalog, other);
      expect(Object.keys(dump)).toHaveLength(current.tables);
      expect(await dumpCatalog(stack.catalog, name)).toEqual(dump);
    },
  };
}
