type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * Proto3 JSON of a message, including fields with default values: a reader finds `"errors": "0"` and does not need to know
 * that an absent number means 0. Fields with presence (`optional`, messages) stay absent if they are not set.
 *
 * @param json The result of the generated `toJSON`, which omits default values.
 */
export function withDefaults(message: object, json: unknown): { [key: string]: Json } {
  const result: { [key: string]: Json } = {};
  const fields = json as { [key: string]: Json };
  for (const [key, value] of Object.entries(message)) {
    const rendered = withDefault(value, fields[key]);
    if (rendered !== undefined) result[key] = rendered;
  }
  return result;
}

function withDefault(value: unknown, json: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.map((item, n) => withDefault(item, (json as Json[] | undefined)?.[n]) ?? null);
  // A well-known type, such as a duration, may be a string.
  if (typeof json === 'string') return json;
  if (isMessage(value)) return json === undefined ? undefined : withDefaults(value, json);
  if (json !== undefined) return json;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return undefined;
}

function isMessage(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Date) && !ArrayBuffer.isView(value);
}
