import { sortableId } from '../identity/ids.ts';

/** Readable, safe in a URL, and newer ones sort behind older ones of the same connector. */
export function jobIdFor(connectorName: string): string {
  return `${jobIdPrefix(connectorName)}-${sortableId()}`;
}

/** What ids of a connector's jobs begin with. */
export function jobIdPrefix(connectorName: string): string {
  const plain = connectorName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return `reconcile-${plain || 'connector'}`;
}
