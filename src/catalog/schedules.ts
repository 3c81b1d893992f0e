import { CodedError } from '../errors.ts';
import type { ConnectorsServiceImplementation } from '../generated/reconciler/v1/connectors.ts';

type ScheduleCalls = Pick<ConnectorsServiceImplementation, 'listSchedules' | 'repairSchedules' | 'retryReconcileJob'>;

/** Placeholder while these are built. */
export function createScheduleCalls(): ScheduleCalls {
  const notYet = async (): Promise<never> => {
    throw new CodedError('UNIMPLEMENTED', 'is being built');
  };
  return { listSchedules: notYet, repairSchedules: notYet, retryReconcileJob: notYet };
}
