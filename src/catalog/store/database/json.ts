/** Parses a column that holds a JSON object of strings. */
export function jsonMap(text: string): { [key: string]: string } {
  return JSON.parse(text) as { [key: string]: string };
}

/** Converts a column that holds milliseconds since 1970. */
export function date(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}

export function ms(value: Date | undefined): number | null {
  return value === undefined ? null : value.getTime();
}
