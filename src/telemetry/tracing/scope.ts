import { AsyncLocalStorage } from 'node:async_hooks';

/** Fields of every log line: `job` (workflow id), `connector` (name), `table` or `tables`, `activity`, `attempt`. */
export type Fields = Record<string, unknown>;

/** The work that is being done now. */
export interface Scope {
  readonly fields: Fields;
  /** OpenTelemetry's context, which only otlp.ts reads; absent outside of a trace. */
  readonly trace?: unknown;
}

const scopes = new AsyncLocalStorage<Scope>();

export const currentScope = (): Scope | undefined => scopes.getStore();

/** Runs the work, including everything that it starts, in the scope. */
export function inScope<T>(scope: Scope, work: () => T): T {
  return scopes.run(scope, work);
}

/** Adds fields to the current scope that become known only during the work. */
export function addFields(fields: Fields): void {
  Object.assign(scopes.getStore()?.fields ?? {}, fields);
}
