/** A place in a request: the keys that lead to it. */
type Path = readonly (string | number)[];

const ID = /^(id|.*Ids?)$/;

/** The ids in a request of a tenant, each with the one that the same request of another tenant has in its place. */
export function idsIn(own: unknown, others: unknown, at: Path = []): { at: string; own: string; id: string }[] {
  if (typeof own === 'string' && typeof others === 'string') {
    return own !== others && isId(at, own) ? [{ at: JSON.stringify(at), own, id: others }] : [];
  }
  if (typeof own !== 'object' || own === null) return [];
  return Object.entries(own).flatMap(([key, value]) =>
    idsIn(value, (others as Record<string, unknown>)[key], [...at, Array.isArray(own) ? Number(key) : key]),
  );
}

/** The value of a `oneof` has no name of its own. */
function isId(at: Path, value: string): boolean {
  const name = at.filter((key) => typeof key === 'string').at(-1) as string;
  return ID.test(name) || (name === 'value' && /^(con|cat|ns|tbl|view)_/.test(value));
}

/** The request with another id at one place. */
export function replaced<T>(request: T, at: string, id: string): T {
  const change = (value: unknown, [key, ...rest]: Path): unknown => {
    if (key === undefined) return id;
    const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
    (copy as Record<string | number, unknown>)[key] = change((value as Record<string | number, unknown>)[key], rest);
    return copy;
  };
  return change(request, JSON.parse(at) as Path) as T;
}

let unknown = 0;

/** An id of the same form that exists nowhere. */
export function unknownIdLike(id: string): string {
  unknown += 1;
  return `${id.slice(0, -6)}${String(unknown).padStart(6, '0')}`;
}
