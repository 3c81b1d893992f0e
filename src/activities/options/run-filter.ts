import type { ReconcileScope } from '../../contract/job.ts';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { nameFilter } from '../../name-patterns.ts';
import { formatName, parseName } from '../../names.ts';
import { destinationOf } from './destination.ts';

/** Decides by upstream names which tables and views a run takes. */
export interface RunFilter {
  includes(table: TableRef): boolean;
  /** Whether the run can take anything that is directly in the namespace. */
  mayTakeIn(namespace: NamespacePath): boolean;
  /** Whether the run can take anything that is in a namespace below it. */
  mayTakeBelow(namespace: NamespacePath): boolean;
}

/**
 * Combines the connector's patterns with the run's scope, which consists of names in the destination.
 *
 * @throws CodedError INVALID_ARGUMENT for a pattern or a namespace that is not a valid name
 */
export function runFilter(connector: Connector, scope?: ReconcileScope): RunFilter {
  const patterns = nameFilter(connector.source);
  const { exact, above } = scopeNamespaces(scope);
  const isInScope = (namespace: NamespacePath) => {
    const { namespacePath } = destinationOf(connector, { namespace, name: '' });
    return !exact || exact.has(formatName([...namespacePath]));
  };
  // If the destination has a namespace of its own, everything goes there.
  const isOneNamespace = Boolean(connector.destination?.namespacePath.length);
  const isAboveScope = (namespace: NamespacePath) =>
    isOneNamespace ? isInScope(namespace) : !above || above.has(formatName([...namespace]));
  return {
    includes: (table) =>
      patterns.includes(table) &&
      isInScope(table.namespace) &&
      (!scope?.table || scope.table === destinationOf(connector, table).name),
    mayTakeIn: (namespace) => patterns.mayTakeIn(namespace) && isInScope(namespace),
    mayTakeBelow: (namespace) => patterns.mayTakeBelow(namespace) && isAboveScope(namespace),
  };
}

/** The namespaces of a scope and all those above them, as text; absent if it takes every namespace. */
function scopeNamespaces(scope?: ReconcileScope): { exact?: Set<string>; above?: Set<string> } {
  if (!scope?.namespaces?.length) return {};
  const paths = scope.namespaces.map(parseName);
  return {
    exact: new Set(paths.map(formatName)),
    above: new Set(paths.flatMap((path) => path.map((_, depth) => formatName(path.slice(0, depth))))),
  };
}
