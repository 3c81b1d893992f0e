import type { ConnectorSpec } from '../../connectors/connector-spec.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewDescriptor, ViewRef } from '../../connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { Usage } from '../../storage/usage.ts';

/** How long an upstream stays open when no activity uses it: the next page or table comes soon. */
const IDLE_MS = 30_000;
/** Then it is opened anew, so that a secret that was changed is read again. */
const MAX_AGE_MS = 10 * 60_000;

interface PooledConnector {
  opening: Promise<UpstreamCatalog>;
  users: number;
  /** Nobody new gets it; it closes with its last user. */
  retired: boolean;
  idle?: NodeJS.Timeout;
  /** Ends it at last, however much it is used. */
  end?: NodeJS.Timeout;
}

/**
 * Opens upstreams so that activities of the same connector share one: its configuration is asked once, tokens and connections are
 * used again. One that says UNAUTHENTICATED is not given to anybody new.
 */
export function connectorPool(
  open: (spec: ConnectorSpec) => Promise<UpstreamCatalog>,
): (spec: ConnectorSpec) => Promise<UpstreamCatalog> {
  const sources = new Map<string, PooledConnector>();

  function evict(key: string, shared: PooledConnector): void {
    clearTimeout(shared.idle);
    clearTimeout(shared.end);
    shared.retired = true;
    if (sources.get(key) === shared) sources.delete(key);
    if (shared.users === 0) void shared.opening.then((connector) => connector[Symbol.asyncDispose]()).catch(() => {});
  }

  return async (spec) => {
    // Secrets stand in it by reference, so that it tells connectors apart without holding any.
    const key = JSON.stringify(spec);
    let shared = sources.get(key);
    if (!shared) {
      const opened: PooledConnector = { opening: open(spec), users: 0, retired: false };
      sources.set(key, opened);
      opened.end = setTimeout(() => evict(key, opened), MAX_AGE_MS).unref();
      shared = opened;
    }
    const mine = shared;
    mine.users += 1;
    clearTimeout(mine.idle);
    const release = () => {
      mine.users -= 1;
      if (mine.users > 0) return;
      if (mine.retired) evict(key, mine);
      else mine.idle = setTimeout(() => evict(key, mine), IDLE_MS).unref();
    };
    const failed = (error: unknown): never => {
      if (error instanceof CodedError && error.code === 'UNAUTHENTICATED') evictOnce(mine, () => evict(key, mine));
      throw error;
    };
    try {
      return new Lease(await mine.opening, release, failed);
    } catch (error) {
      // It never opened: the next one tries again.
      evictOnce(mine, () => evict(key, mine));
      mine.users -= 1;
      throw error;
    }
  };
}

function evictOnce(shared: PooledConnector, retire: () => void): void {
  if (!shared.retired) retire();
}

/** A user's hold on a shared upstream. */
class Lease implements UpstreamCatalog {
  readonly #connector: UpstreamCatalog;
  readonly #failed: (error: unknown) => never;
  #release: (() => void) | undefined;
  readonly listViews?: (namespace: NamespacePath, page: PageRequest) => Promise<Page<ViewRef>>;
  readonly describeView?: (view: ViewRef) => Promise<ViewDescriptor>;

  constructor(connector: UpstreamCatalog, release: () => void, failed: (error: unknown) => never) {
    this.#connector = connector;
    this.#release = release;
    this.#failed = failed;
    if (connector.listViews && connector.describeView) {
      this.listViews = (namespace, page) => connector.listViews!(namespace, page).catch(failed);
      this.describeView = (view) => connector.describeView!(view).catch(failed);
    }
  }

  get usage(): Readonly<Usage> {
    return this.#connector.usage;
  }

  listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    return this.#connector.listNamespaces(parent, page).catch(this.#failed);
  }

  listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    return this.#connector.listTables(namespace, page).catch(this.#failed);
  }

  fingerprint(table: TableRef, known?: string): Promise<string> {
    return this.#connector.fingerprint(table, known).catch(this.#failed);
  }

  openTable(table: TableRef): Promise<TableReader> {
    return this.#connector.openTable(table).catch(this.#failed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release?.();
    this.#release = undefined;
  }
}
