/**
 * The texts of a claim, which is a text or a list of texts.
 *
 * @param path the claim's name; a dot leads into an object, unless the name itself has it, as `https://example.com/roles`
 * @returns none if there is no such claim, or if it contains anything else
 */
export function textsOfClaim(claims: unknown, path: string): string[] {
  const value = valueAt(claims, path);
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : [];
}

function valueAt(value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, path)) return (value as Record<string, unknown>)[path];
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    const name = path.slice(0, dot);
    if (!Object.hasOwn(value, name)) continue;
    const found = valueAt((value as Record<string, unknown>)[name], path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
