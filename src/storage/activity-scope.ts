import { AsyncLocalStorage } from 'node:async_hooks';

/** The activity for which code runs that has no heartbeat of its own. */
export interface ActivityScope {
  /** Reports a wait with a known end, which is not a stall. Repeats the details of the last heartbeat. */
  keepAlive(): void;
  readonly signal: AbortSignal;
}

const scopes = new AsyncLocalStorage<ActivityScope>();

/** The activity whose work calls this; undefined outside an activity. */
export const currentScope = (): ActivityScope | undefined => scopes.getStore();

export const runInScope = <T>(scope: ActivityScope, work: () => T): T => scopes.run(scope, work);
