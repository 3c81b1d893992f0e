import { type Connector, MissingAction } from '../../generated/reconciler/v1/connectors.ts';

/** What a connector wants done with what is gone upstream: see MissingPolicy. */
export interface MissingRules {
  action: 'KEEP' | 'MARK' | 'DROP';
  /** Of DROP: how long it has to be gone. */
  dropAfterSeconds: bigint;
  /** Of a connector's tables, or views, that may go at once. */
  maxShare: number;
}

const WEEK_SECONDS = 7n * 24n * 3600n;
const MAX_SHARE = 0.25;

export function missingPolicy({ policy }: Connector): MissingRules {
  const { action, dropAfterSeconds, maxShare } = policy?.missing ?? {};
  return {
    action:
      action === MissingAction.MISSING_ACTION_KEEP
        ? 'KEEP'
        : action === MissingAction.MISSING_ACTION_DROP
          ? 'DROP'
          : 'MARK',
    dropAfterSeconds: dropAfterSeconds ?? WEEK_SECONDS,
    maxShare: maxShare ?? MAX_SHARE,
  };
}
