import { ApplicationFailure } from '@temporalio/workflow';
import type { ReconcileRequest, SnapshotSelection } from '../contract/job.ts';
import { tooLong } from '../contract/request-length.ts';

const texts = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string');
const text = (value: unknown) => typeof value === 'string';
const flag = (value: unknown) => typeof value === 'boolean';
const oneOf =
  (...allowed: string[]) =>
  (value: unknown) =>
    allowed.includes(value as string);

const REQUEST_RULES: Record<keyof ReconcileRequest, (value: unknown) => boolean> = {
  connector: (value) => text(value) && value !== '',
  connectorName: text,
  full: flag,
  scope: (value) => isObject(value) && problem(value, SCOPE_RULES) === undefined,
  snapshots: (value) =>
    isObject(value) && problem({ kind: undefined, ...value }, SNAPSHOT_RULES, 'kind') === undefined && isWhole(value),
  mode: oneOf('METADATA_AND_CAPTURE', 'METADATA_ONLY', 'CAPTURE_ONLY'),
  dryRun: flag,
  allowMissing: flag,
  retryOf: (value) => text(value) && value !== '',
  trigger: oneOf('manual', 'schedule', 'retry'),
};
const SNAPSHOT_RULES = {
  kind: oneOf('ALL', 'CURRENT', 'LATEST_N', 'EXPLICIT'),
  latest: (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0,
  snapshotIds: (value: unknown) => texts(value) && (value as string[]).every((id) => /^-?\d{1,19}$/.test(id)),
  branches: texts,
};
/** It has what its kind needs. */
const isWhole = ({ kind, latest, snapshotIds }: Partial<SnapshotSelection>) =>
  (kind !== 'LATEST_N' || latest !== undefined) && (kind !== 'EXPLICIT' || Boolean(snapshotIds?.length));
const SCOPE_RULES = { namespaces: texts, table: text, columns: texts };

/**
 * The input of a workflow that is started by hand is arbitrary. An unknown key must be refused, because ignoring it would run more than
 * was requested.
 *
 * @throws ApplicationFailure INVALID_ARGUMENT that contains the input
 */
export function validateRequest(request: unknown): asserts request is ReconcileRequest {
  const wrong = isObject(request)
    ? problem({ connector: undefined, ...request }, REQUEST_RULES, 'connector')
    : 'the input';
  const length = tooLong(request);
  if (wrong === undefined && length === undefined) return;
  throw ApplicationFailure.nonRetryable(
    wrong === undefined
      ? length
      : `${wrong} is invalid in ${JSON.stringify(request ?? null).slice(0, 300)}. A valid input is, for example, {"connector": "demo", "full": true, "scope": {"namespaces": ["sales"], "table": "orders", "columns": ["id"]}}; only connector is required.`,
    'INVALID_ARGUMENT',
  );
}

/** Whether the input of the workflow is a request. */
export function isRequest(request: unknown): request is ReconcileRequest {
  try {
    validateRequest(request);
    return true;
  } catch {
    return false;
  }
}

function problem(
  value: object,
  rules: Record<string, (value: unknown) => boolean>,
  required?: string,
): string | undefined {
  const entry = Object.entries(value).find(
    ([key, item]) => !rules[key] || ((item !== undefined || key === required) && !rules[key](item)),
  );
  return entry?.[0];
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
