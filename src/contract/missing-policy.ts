import { type Connector, MissingAction } from '../generated/reconciler/v1/connectors.ts';

/** What happens to objects that are gone upstream. See the message MissingPolicy. */
export interface MissingPolicy {
  action: 'KEEP' | 'MARK' | 'DROP';
  /** With DROP: how long an object must have been gone. */
  dropAfterSeconds: number;
  /** The share of a connector's tables, or views, that may be gone at once. */
  maxShare: number;
}

const WEEK_SECONDS = 7 * 24 * 3600;
const MAX_SHARE = 0.25;

export function missingPolicy({ policy }: Pick<Connector, 'policy'>): MissingPolicy {
  const { action, dropAfter, maxShare } = policy?.missing ?? {};
  return {
    action:
      action === MissingAction.MISSING_ACTION_KEEP
        ? 'KEEP'
        : action === MissingAction.MISSING_ACTION_DROP
          ? 'DROP'
          : 'MARK',
    dropAfterSeconds: dropAfter === undefined ? WEEK_SECONDS : Number(dropAfter.seconds) + dropAfter.nanos / 1e9,
    maxShare: maxShare ?? MAX_SHARE,
  };
}
