import type { ChangeList } from '../dry-run/change-list.ts';
import { newNamespace } from '../dry-run/object-changes.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/** Ids of a connector's destination namespaces. Each is looked up, and created if it does not exist, once. */
export class DestinationNamespaces {
  readonly #catalog: ActivityDeps['catalog'];
  readonly #connectorId: string;
  readonly #changes?: ChangeList;
  readonly #ids = new Map<string, Promise<string>>();

  /** @param changes in a dry run, which creates no namespace */
  constructor(
    { catalog }: Pick<ActivityDeps, 'catalog'>,
    { connectorId }: { connectorId: string },
    changes?: ChangeList,
  ) {
    this.#catalog = catalog;
    this.#connectorId = connectorId;
    this.#changes = changes;
  }

  /** Empty if a dry run would have to create the namespace. */
  idOf(path: readonly string[]): Promise<string> {
    const key = JSON.stringify(path);
    const known = this.#ids.get(key);
    if (known) return known;
    const ensured = this.#ensure(path);
    this.#ids.set(key, ensured);
    // After a failure the next caller tries again.
    ensured.catch(() => this.#ids.delete(key));
    return ensured;
  }

  async #ensure(path: readonly string[]): Promise<string> {
    const { namespaceId, namespacePath, namespaceMade } = await this.#catalog.reconciliation.ensureDestination({
      connectorId: this.#connectorId,
      namespacePath: [...path],
      validateOnly: this.#changes !== undefined,
    });
    if (!this.#changes || !namespaceMade) return namespaceId;
    await this.#changes.record(newNamespace(namespacePath));
    return '';
  }
}
