import type { ActivityDeps } from '../deps.ts';

/** Ids of a connector's destination namespaces. Each is asked for, and made where it is not there, once. */
export class DestinationNamespaces {
  readonly #catalog: ActivityDeps['catalog'];
  readonly #connectorId: string;
  readonly #ids = new Map<string, Promise<string>>();

  constructor({ catalog }: Pick<ActivityDeps, 'catalog'>, { connectorId }: { connectorId: string }) {
    this.#catalog = catalog;
    this.#connectorId = connectorId;
  }

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
    const asked = { connectorId: this.#connectorId, namespacePath: [...path] };
    return (await this.#catalog.reconciliation.ensureDestination(asked)).namespaceId;
  }
}
