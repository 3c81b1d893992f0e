import { CodedError } from '../errors.ts';

/** Begins with what is refused; the reader must know whose decision it is, and where it can be changed. */
export const POLICY_SETTING = 'RECONCILER_WORKER_POLICY';

/** The worker's policy refuses something that a connector asks for. It is always `PERMISSION_DENIED`. */
export class PolicyError extends CodedError {
  constructor(message: string) {
    super('PERMISSION_DENIED', message);
  }
}
