import type { Binding } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { destinationOf } from '../options/destination.ts';
import type { Change } from './change-list.ts';

/** What a dry run would do to a table or view that is gone upstream. */
export function goneChange(
  connector: Connector,
  what: 'tables' | 'views',
  { upstream }: Pick<Binding, 'upstream'>,
  action: Change['action'],
  reason: string,
): Change {
  const { namespacePath: namespace = [], name = '' } = upstream ?? {};
  const to = destinationOf(connector, { namespace, name });
  return {
    kind: what === 'tables' ? 'TABLE' : 'VIEW',
    action,
    name: [...namespace, name],
    destination: [...to.namespacePath, to.name],
    reason,
  };
}
