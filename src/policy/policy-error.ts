import { CodedError } from '../errors.ts';

/** The setting that errors name: where the decision can be changed. */
export const POLICY_SETTING = 'RECONCILER_WORKER_POLICY';

/** The worker's policy refuses something that a connector asks for. It is always `PERMISSION_DENIED`. */
export class PolicyError extends CodedError {
  constructor(message: string) {
    super('PERMISSION_DENIED', message);
  }
}
