/** A map of texts that was stored as JSON. */
export function jsonMap(text: string): { [key: string]: string } {
  return JSON.parse(text) as { [key: string]: string };
}

/** The time of a column that holds milliseconds. */
export function date(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}

export function ms(value: Date | undefined): number | null {
  return value === undefined ? null : value.getTime();
}
