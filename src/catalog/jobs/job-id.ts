import { sortableId } from '../identity/ids.ts';

/** A new job id: readable, safe in a URL, and sorted after the connector's older job ids. */
export function jobIdFor(connectorName: string): string {
  return `${jobIdPrefix(connectorName)}-${sortableId()}`;
}

/** The prefix of the ids of a connector's jobs. */
export function jobIdPrefix(connectorName: string): string {
  const plain = connectorName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return `reconcile-${plain || 'connector'}`;
}
