import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { formatName } from '../../names.ts';

/** Where an upstream table goes. */
export interface TableDestination {
  namespacePath: readonly string[];
  name: string;
}

/** The destination's own names if it has them, otherwise the upstream's. */
export function destinationOf(connector: Connector, table: TableRef): TableDestination {
  const { destination } = connector;
  const namespacePath = destination?.namespacePath.length ? destination.namespacePath : table.namespace;
  return { namespacePath, name: destination?.tableName || table.name };
}

/** Whether the connector's destination has changed since a table or view was bound. */
export function hasMoved(bound: { namespacePath: string[]; name: string }, to: TableDestination): boolean {
  return bound.name !== to.name || JSON.stringify(bound.namespacePath) !== JSON.stringify(to.namespacePath);
}

/** A table's upstream name as text, for people. */
export function tableText(table: TableRef): string {
  return formatName([...table.namespace, table.name]);
}

/** A namespace's upstream name as text, for people. */
export function namespaceText(path: NamespacePath): string {
  return formatName([...path]);
}

/** @throws CodedError INVALID_ARGUMENT if a table or view at the upstream's root has no namespace as its destination */
export function requireNamespace(
  destination: TableDestination,
  table: TableRef,
  what: 'Table' | 'View' = 'Table',
): void {
  if (destination.namespacePath.length > 0) return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${what} ${tableText(table)} is in no namespace upstream. Exclude it, or give the connector a destination namespace (--destination-namespace), which ` +
      'is then that of all its tables.',
  );
}

/** The destination's catalog, as people know it. */
export function catalogNameOf({ destination, displayName }: Connector): string {
  return destination?.catalogName || destination?.catalogId || displayName;
}
