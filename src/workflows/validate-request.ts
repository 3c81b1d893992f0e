import { ApplicationFailure } from '@temporalio/workflow';
import type { ReconcileRequest, ReconcileScope, SnapshotSelection } from '../contract/job.ts';
import { tooLong } from '../contract/request-length.ts';
import { TENANT_ID } from '../contract/tenant.ts';

/** What a key may contain. */
interface Rule {
  /** Continues 'it must be'. */
  is: string;
  holds(value: unknown): boolean;
  /** The keys of an object. */
  keys?: Record<string, Rule>;
}

const isText = (value: unknown) => typeof value === 'string';
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);

const text: Rule = { is: 'a text', holds: isText };
const name: Rule = { is: 'a text that is not empty', holds: (value) => isText(value) && value !== '' };
const texts: Rule = { is: 'a list of texts', holds: isTexts };
const flag: Rule = { is: 'true or false', holds: (value) => typeof value === 'boolean' };
const oneOf = (...allowed: string[]): Rule => ({
  is: `one of ${allowed.join(', ')}`,
  holds: (value) => allowed.includes(value as string),
});
const object = (keys: Record<string, Rule>): Rule => ({ is: 'an object', holds: isObject, keys });

const SCOPE: Record<keyof ReconcileScope, Rule> = { namespaces: texts, table: text, columns: texts };
const SNAPSHOTS: Record<keyof SnapshotSelection, Rule> = {
  kind: oneOf('ALL', 'CURRENT', 'LATEST_N', 'EXPLICIT'),
  latest: { is: 'a whole number above 0', holds: (value) => Number.isSafeInteger(value) && (value as number) > 0 },
  snapshotIds: {
    is: 'a list of decimal texts',
    holds: (value) => isTexts(value) && (value as string[]).every((id) => /^-?\d{1,19}$/.test(id)),
  },
  branches: texts,
};
const REQUEST: Record<keyof ReconcileRequest, Rule> = {
  connector: name,
  connectorName: text,
  full: flag,
  scope: object(SCOPE),
  snapshots: object(SNAPSHOTS),
  mode: oneOf('METADATA_AND_CAPTURE', 'METADATA_ONLY', 'CAPTURE_ONLY'),
  dryRun: flag,
  allowMissing: flag,
  retryOf: name,
  tenant: { is: 'the id of a tenant', holds: (value) => isText(value) && TENANT_ID.test(value as string) },
  trigger: oneOf('manual', 'schedule', 'retry'),
};

/** An example of a valid input. */
const EXAMPLE =
  '{"connector": "demo", "full": true, "scope": {"namespaces": ["sales"], "table": "orders", "columns": ["id"]}}';

/**
 * The input of a workflow that is started by hand is arbitrary. An unknown key must be refused, because ignoring it would run more than
 * was requested.
 *
 * @throws ApplicationFailure INVALID_ARGUMENT that names the key, what was found and what is allowed
 */
export function validateRequest(request: unknown): asserts request is ReconcileRequest {
  const wrong = problem(request);
  const message =
    wrong === undefined
      ? tooLong(request)
      : `the input of the workflow is invalid: ${wrong}. A valid input is, for example, ${EXAMPLE}; only connector is required.`;
  if (message !== undefined) throw ApplicationFailure.nonRetryable(message, 'INVALID_ARGUMENT');
}

function problem(request: unknown): string | undefined {
  if (!isObject(request)) return `it is ${shown(request)} and not an object`;
  const { connector, snapshots } = request as Partial<ReconcileRequest>;
  if (connector === undefined) return "the key 'connector' is missing";
  const wrong = problemIn(request, REQUEST, '');
  if (wrong !== undefined || snapshots === undefined) return wrong;
  const { kind, latest, snapshotIds } = snapshots;
  if (kind === undefined) return "the key 'snapshots.kind' is missing";
  if (kind === 'LATEST_N' && latest === undefined) return "the key 'snapshots.latest' is missing, which LATEST_N needs";
  if (kind === 'EXPLICIT' && !snapshotIds?.length)
    return "the key 'snapshots.snapshotIds' is missing or empty, which EXPLICIT needs";
  return undefined;
}

function problemIn(value: object, rules: Record<string, Rule>, prefix: string): string | undefined {
  for (const [key, item] of Object.entries(value)) {
    const path = `'${prefix}${key.slice(0, 100)}'`;
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) return `the key ${path} is unknown; the known ones are ${Object.keys(rules).join(', ')}`;
    if (item === undefined) continue;
    if (!rule.holds(item)) return `the key ${path} is ${shown(item)}; it must be ${rule.is}`;
    const below = rule.keys && problemIn(item as object, rule.keys, `${prefix}${key}.`);
    if (below !== undefined) return below;
  }
  return undefined;
}

const shown = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 200);

/** Whether the input of the workflow is a request. */
export function isRequest(request: unknown): request is ReconcileRequest {
  try {
    validateRequest(request);
    return true;
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
