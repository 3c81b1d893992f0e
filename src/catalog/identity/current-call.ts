import { AsyncLocalStorage } from 'node:async_hooks';
import type { AuditEvent } from './audit-event.ts';
import type { Principal } from './principal.ts';

/** A call that was authenticated and is allowed. */
export interface Call {
  principal: Principal;
  /** Undefined if the call concerns no tenant. */
  tenant: string | undefined;
  /** `/reconciler.v1.Tables/GetTable`. */
  method: string;
  /** The caller's address. */
  peer: string;
  /** How the call is recorded with what it changes; absent if it is not. */
  record?: CallRecord;
}

/** The event of a call that changes something. The first transaction of the call that writes stores it. */
export interface CallRecord {
  readonly event: AuditEvent;
  isStored: boolean;
}

const calls = new AsyncLocalStorage<Call>();

/** The call that is being served; undefined in the catalog's own work. */
export const currentCall = (): Call | undefined => calls.getStore();

/** Does the work of a call. */
export function inCall<T>(call: Call, work: () => T): T {
  return calls.run(call, work);
}
