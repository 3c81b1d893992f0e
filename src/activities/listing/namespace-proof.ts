import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { PagePlace } from '../../contract/activities.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { nextPlace } from './next-place.ts';

const PAGE = 500;

/**
 * Tells whether a namespace is gone. Only the listing of its parent proves that: an answer that the namespace does not exist may come from a
 * gateway, or from a server that cannot address its name. Keeps the children of one parent.
 */
export class NamespaceProof {
  readonly #upstream: Pick<UpstreamCatalog, 'listNamespaces'>;
  readonly #onProgress: () => void;
  #known?: { key: string; names: ReadonlySet<string> };

  /** @param onProgress called after each request */
  constructor(upstream: Pick<UpstreamCatalog, 'listNamespaces'>, onProgress: () => void) {
    this.#upstream = upstream;
    this.#onProgress = onProgress;
  }

  /** Whether its parent lists the namespace. @throws CodedError if that cannot be found out */
  async isListed(path: NamespacePath): Promise<boolean> {
    const parent = path.slice(0, -1);
    const key = JSON.stringify(parent);
    if (this.#known?.key !== key) this.#known = { key, names: await this.#namesIn(parent) };
    return this.#known.names.has(path.at(-1) ?? '');
  }

  async #namesIn(parent: NamespacePath): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    try {
      let place: PagePlace | undefined = {};
      while (place) {
        const page = await this.#upstream.listNamespaces(parent, { size: PAGE, token: place.token });
        this.#onProgress();
        for (const path of page.items) if (path.length === parent.length + 1) names.add(path.at(-1) ?? '');
        place = nextPlace(place, page, 'namespaces', parent);
      }
    } catch (error) {
      const isGone = error instanceof CodedError && error.code === 'NOT_FOUND' && parent.length > 0;
      if (!isGone || (await new NamespaceProof(this.#upstream, this.#onProgress).isListed(parent))) throw error;
    }
    return names;
  }
}
