import { durationSeconds } from '../../durations.ts';
import { type Connector, MissingAction } from '../../generated/reconciler/v1/connectors.ts';

/** What a connector wants done with what is gone upstream: see MissingPolicy. */
export interface MissingRules {
  action: 'KEEP' | 'MARK' | 'DROP';
  /** Of DROP: how long it has to be gone. */
  dropAfterSeconds: number;
  /** Of a connector's tables, or views, that may go at once. */
  maxShare: number;
}

const WEEK_SECONDS = 7 * 24 * 3600;
const MAX_SHARE = 0.25;

export function missingPolicy({ policy }: Connector): MissingRules {
  const { action, dropAfter, maxShare } = policy?.missing ?? {};
  return {
    action:
      action === MissingAction.MISSING_ACTION_KEEP
        ? 'KEEP'
        : action === MissingAction.MISSING_ACTION_DROP
          ? 'DROP'
          : 'MARK',
    dropAfterSeconds: dropAfter === undefined ? WEEK_SECONDS : durationSeconds(dropAfter),
    maxShare: maxShare ?? MAX_SHARE,
  };
}
