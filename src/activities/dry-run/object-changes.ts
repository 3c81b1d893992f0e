import type { UpstreamName } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { destinationOf } from '../options/destination.ts';
import type { Change } from './change.ts';

export function newNamespace(path: readonly string[]): Change {
  return { kind: 'NAMESPACE', action: 'CREATE', name: path, destination: path, reason: 'not in the catalog yet' };
}

/** A table or view that is gone upstream. */
export function goneChange(
  connector: Connector,
  what: 'tables' | 'views',
  upstreamName: UpstreamName | undefined,
  action: Change['action'],
  reason: string,
): Change {
  const { namespacePath: namespace = [], name = '' } = upstreamName ?? {};
  const to = destinationOf(connector, { namespace, name });
  return {
    kind: what === 'tables' ? 'TABLE' : 'VIEW',
    action,
    name: [...namespace, name],
    destination: [...to.namespacePath, to.name],
    reason,
  };
}
