import { AsyncLocalStorage } from 'node:async_hooks';

/** What every log line of some work carries: `job` (workflow id), `connector` (name), `table` or `tables`, `activity`, `attempt`. */
export type Fields = Record<string, unknown>;

/** What is done now, and for whom. */
export interface Scope {
  readonly fields: Fields;
  /** Of OpenTelemetry, where there are traces: nobody else looks into it. */
  readonly trace?: unknown;
}

const scopes = new AsyncLocalStorage<Scope>();

export const currentScope = (): Scope | undefined => scopes.getStore();

/** Runs the work, and all that it begins, in the scope. */
export function inScope<T>(scope: Scope, work: () => T): T {
  return scopes.run(scope, work);
}

/** Fields of the current scope that become known only on the way. */
export function addFields(fields: Fields): void {
  Object.assign(scopes.getStore()?.fields ?? {}, fields);
}
