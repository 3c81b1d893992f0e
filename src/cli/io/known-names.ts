/** Names of what this command line has looked up, by the ids that the catalog service knows them by. */
const names = new Map<string, string>();

/** Makes `withNames` show the name, as it was typed, instead of the id. */
export function rememberName(id: string, name: string): void {
  if (id !== '') names.set(id, name);
}

/** A message of the catalog service with names instead of ids: people do not know what `tbl_01m8p8` is. */
export function withNames(message: string): string {
  return message
    .replace(/\b[a-z]{2,4}_[0-9a-z]{10,}\b/g, (id) => names.get(id) ?? id)
    .replace(/ \([a-z]{2,4}_[0-9a-z]{10,}\)/g, '');
}
