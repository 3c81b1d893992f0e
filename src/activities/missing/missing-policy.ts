import { type Connector, MissingAction } from '../../generated/reconciler/v1/connectors.ts';

/** What a connector does about objects that are gone upstream: see MissingPolicy. */
export interface ResolvedMissingPolicy {
  action: 'KEEP' | 'MARK' | 'DROP';
  /** For DROP: how long an object has to be gone. */
  dropAfterSeconds: bigint;
  /** The share of a connector's tables, or views, that may go at once. */
  maxShare: number;
}

const WEEK_SECONDS = 7n * 24n * 3600n;
const MAX_SHARE = 0.25;

export function missingPolicy({ policy }: Connector): ResolvedMissingPolicy {
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
