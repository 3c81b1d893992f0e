import type { Change, ChangeList } from '../dry-run/change-list.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Ids of a connector's destination namespaces. Each is asked for, and made where it is not there, once. */
export class DestinationNamespaces {
  readonly #catalog: ActivityDeps['catalog'];
  readonly #connectorId: string;
  readonly #changes?: ChangeList;
  readonly #ids = new Map<string, Promise<string>>();

  /** @param changes of a dry run */
  constructor(
    { catalog }: Pick<ActivityDeps, 'catalog'>,
    { connectorId }: { connectorId: string },
    changes?: ChangeList,
  ) {
    this.#catalog = catalog;
    this.#connectorId = connectorId;
    this.#changes = changes;
  }

  /** Empty in a dry run where the namespace is not there. */
  idOf(path: readonly string[]): Promise<string> {
    const key = JSON.stringify(path);
    const known = this.#ids.get(key);
    if (known) return known;
    const asked = this.#ensure(path);
    this.#ids.set(key, asked);
    // Who tries again asks again.
    asked.catch(() => this.#ids.delete(key));
    return asked;
  }

  async #ensure(path: readonly string[]): Promise<string> {
    const asked = { connectorId: this.#connectorId, namespacePath: [...path], dryRun: this.#changes !== undefined };
    const ensured = await this.#catalog.reconciliation.ensureDestination(asked);
    if (!this.#changes || !ensured.namespaceMade) return ensured.namespaceId;
    await this.#changes.tell(newNamespace(ensured.namespacePath));
    return '';
  }
}

export function newNamespace(path: readonly string[]): Change {
  return { kind: 'NAMESPACE', action: 'CREATE', name: path, destination: path, reason: 'not in the catalog yet' };
}
