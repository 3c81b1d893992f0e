type Fields = Readonly<Record<string, unknown>>;

/** The messages within requests that are what the call concerns, with the fields that name it: the first that is set counts. */
const MESSAGES: Readonly<Record<string, readonly string[]>> = {
  connector: ['connectorId', 'displayName'],
  catalog: ['catalogId', 'displayName'],
  namespace: ['namespaceId', 'path'],
  table: ['tableId', 'name'],
  view: ['viewId', 'name'],
  tenant: ['tenantId'],
  job: ['jobId'],
};

/** The fields of requests that name what the call concerns. */
const FIELDS = [
  'tokenId',
  'jobId',
  'connectorId',
  'tableId',
  'viewId',
  'namespaceId',
  'catalogId',
  'tenantId',
  'subject',
];

const MAX_LENGTH = 1024;
/** Refused calls are recorded as well, so what their requests contain must be bounded here. */
const MAX_FIELDS = 100;
const MAX_FIELD_LENGTH = 100;

/** The id, or else the name, of what a call concerns; empty if its request has none. Streams of requests have none. */
export function resourceOf(request: unknown): string {
  const fields = (request ?? {}) as Fields;
  const target = fields.target as { value?: unknown } | undefined;
  if (typeof target?.value === 'string') return target.value.slice(0, MAX_LENGTH);
  const nested: Fields = { ...fields, ...(typeof target?.value === 'object' && { connector: target.value }) };
  for (const [message, names] of Object.entries(MESSAGES)) {
    const found = firstOf((nested[message] ?? {}) as Fields, names);
    if (found !== undefined) return found;
  }
  return firstOf(fields, FIELDS) ?? '';
}

function firstOf(fields: Fields, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = fields[name];
    const text = Array.isArray(value) ? value.join('.') : value;
    if (typeof text === 'string' && text !== '') return text.slice(0, MAX_LENGTH);
  }
  return undefined;
}

/** The paths of a request's update mask: at most 100, each cut at 100 characters. */
export function fieldsOf(request: unknown): string[] {
  const { updateMask } = (request ?? {}) as { updateMask?: readonly string[] };
  if (!Array.isArray(updateMask)) return [];
  return updateMask.slice(0, MAX_FIELDS).map((path: string) => path.slice(0, MAX_FIELD_LENGTH));
}
