/** A place in a request: the keys that lead to it. */
type Path = readonly (string | number)[];

const ID = /^(id|.*Ids?)$/;
/** The value of a `oneof`, or of a filter, has no name that says that it is an id. */
const ANY_ID = /^(con|cat|ns|tbl|view|draft)_/;

/** An id in a request of a tenant, and the one that the same request of another tenant has in its place. */
export interface IdPlace {
  at: string;
  own: string;
  id: string;
}

/** The ids in a request that differ from those of another tenant. `under` is the claim that the call carries. */
export function idsIn(own: unknown, others: unknown, at: Path = []): IdPlace[] {
  if (typeof own === 'string' && typeof others === 'string') {
    return own !== others && isId(at, own) ? [{ at: JSON.stringify(at), own, id: others }] : [];
  }
  if (typeof own !== 'object' || own === null) return [];
  return Object.entries(own).flatMap(([key, value]) =>
    idsIn(value, (others as Record<string, unknown>)[key], [...at, Array.isArray(own) ? Number(key) : key]),
  );
}

function isId(at: Path, value: string): boolean {
  const name = at.filter((key) => typeof key === 'string').at(-1) as string;
  return ID.test(name) || ANY_ID.test(value);
}

/**
 * The places whose ids are replaced together: each one; all that have the same id; the claim; the claim and the connector of the request; and
 * all, so that the request is the other tenant's as a whole.
 */
export function placesIn(ids: readonly IdPlace[]): string[][] {
  const claim = ids.filter(({ at }) => isOfClaim(at));
  const claimed = claim.map(({ own }) => own);
  const groups = [
    ...ids.map((one) => [one]),
    ...[...new Set(ids.map(({ own }) => own))].map((id) => ids.filter(({ own }) => own === id)),
    claim,
    ids.filter(({ at, own }) => isOfClaim(at) || claimed.includes(own)),
    ids,
  ].map((group) => group.map(({ at }) => at));
  const isNew = (group: string[], index: number) =>
    groups.findIndex((other) => other.join() === group.join()) === index;
  return groups.filter((group, index) => group.length > 0 && isNew(group, index));
}

/** Whether a place is in the claim that a call carries. */
export const isOfClaim = (at: string): boolean => at.startsWith('["under"');

/** The request with other ids at some places. */
export function replaced<T>(request: T, ids: readonly Pick<IdPlace, 'at' | 'id'>[]): T {
  return ids.reduce((changed, { at, id }) => replacedAt(changed, JSON.parse(at) as Path, id) as T, request);
}

function replacedAt(value: unknown, [key, ...rest]: Path, id: string): unknown {
  if (key === undefined) return id;
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  (copy as Record<string | number, unknown>)[key] = replacedAt(
    (value as Record<string | number, unknown>)[key],
    rest,
    id,
  );
  return copy;
}

let unknown = 0;

/** Replaces each id by one of the same form that exists nowhere. */
export function unknownIds(): (id: string) => string {
  const made = new Map<string, string>();
  return (id) => {
    if (!made.has(id)) made.set(id, `${id.slice(0, -6)}${String(++unknown).padStart(6, '0')}`);
    return made.get(id) as string;
  };
}

/**
 * The field at a place, with the names of messages: `job.jobId`, `connectorId` for the member of a `oneof`, `header.tableId` in a stream,
 * `under.runId` for the claim.
 */
export function fieldAt(request: unknown, at: string): string {
  const path = JSON.parse(at) as Path;
  const names: string[] = [];
  let value = request;
  for (const [index, key] of path.entries()) {
    const { $case } = value as { $case?: string };
    // The message itself, beside its claim.
    const isEnvelope = index === 0 && key === 'request' && 'under' in (value as object);
    value = (value as Record<string | number, unknown>)[key];
    if (isEnvelope || typeof key === 'number') continue;
    // A `oneof` has a name that is no field.
    if (typeof value === 'object' && value !== null && '$case' in value) continue;
    names.push($case !== undefined && key === 'value' ? $case : key);
  }
  return names.join('.');
}
