/** `LOG table=ID`: the fingerprint of the table's log, and the catalog's id of the table, which changes if the table is made again. */
export function fingerprintOf(id: string, log: string): string {
  return `${log} table=${id}`;
}

export function parseFingerprint(fingerprint: string | undefined): { log?: string; id?: string } {
  const [, log, id] = /^(\S*) table=(\S*)$/.exec(fingerprint ?? '') ?? [];
  return { ...(log && { log }), ...(id && { id }) };
}
