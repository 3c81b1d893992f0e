import type { EnsureTableRequest } from '../../generated/reconciler/internal/v1/bindings.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/**
 * A table that the catalog does not have yet, but has reserved an id for. It is created with its first snapshot, in one call and one
 * transaction, or before anything else is sent.
 */
export class NewTable {
  readonly #deps: Pick<ActivityDeps, 'catalog'>;
  #request: EnsureTableRequest | undefined;

  /** @param request creates the table under the reserved id */
  constructor(deps: Pick<ActivityDeps, 'catalog'>, request: EnsureTableRequest) {
    this.#deps = deps;
    this.#request = request;
  }

  /** The request to send with a snapshot; undefined if the table has been created. */
  get request(): EnsureTableRequest | undefined {
    return this.#request;
  }

  /** The catalog has confirmed what was sent with `request`. */
  wasCreated(): void {
    this.#request = undefined;
  }

  /** Creates the table, if it has not been created. @throws CodedError ABORTED if another call has bound its upstream name */
  async create(): Promise<void> {
    if (this.#request) await this.#deps.catalog.bindings.ensureTable(this.#request);
    this.wasCreated();
  }
}
