import type { ConnectorSpec } from '../../connectors/connector-spec.ts';
import type { Page, PageRequest, TableEntry, UpstreamCatalog, ViewDescriptor, ViewRef } from '../../connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import type { KnownTable, TableReader } from '../../formats/table-reader.ts';
import type { Usage } from '../../storage/usage.ts';

/** How long an upstream stays open when no activity uses it: the next page or table usually comes soon. */
const IDLE_MS = 30_000;
/** After this time it is opened again, so that a changed secret is read. */
const MAX_AGE_MS = 10 * 60_000;

interface PooledConnector {
  opening: Promise<UpstreamCatalog>;
  users: number;
  /** It gets no new users, and closes with its last one. */
  retired: boolean;
  idle?: NodeJS.Timeout;
  /** Retires it, however much it is used. */
  end?: NodeJS.Timeout;
}

/**
 * Opens upstreams so that the activities of a job share one: its configuration is requested once, and tokens and connections are reused. Each job
 * opens its own, because secrets are read when an upstream is opened. An upstream that responds UNAUTHENTICATED gets no new users.
 */
export function connectorPool(
  open: (spec: ConnectorSpec) => Promise<UpstreamCatalog>,
): (spec: ConnectorSpec, jobId: string) => Promise<UpstreamCatalog> {
  const upstreams = new Map<string, PooledConnector>();

  function evict(key: string, shared: PooledConnector): void {
    clearTimeout(shared.idle);
    clearTimeout(shared.end);
    shared.retired = true;
    if (upstreams.get(key) === shared) upstreams.delete(key);
    if (shared.users === 0) void shared.opening.then((upstream) => upstream[Symbol.asyncDispose]()).catch(() => {});
  }

  return async (spec, jobId) => {
    // It has secrets by reference only, so that it distinguishes connectors without containing a secret.
    const key = JSON.stringify([jobId, spec]);
    let shared = upstreams.get(key);
    if (!shared) {
      const opened: PooledConnector = { opening: open(spec), users: 0, retired: false };
      upstreams.set(key, opened);
      opened.end = setTimeout(() => evict(key, opened), MAX_AGE_MS).unref();
      shared = opened;
    }
    const pooled = shared;
    pooled.users += 1;
    clearTimeout(pooled.idle);
    const release = () => {
      pooled.users -= 1;
      if (pooled.users > 0) return;
      if (pooled.retired) evict(key, pooled);
      else pooled.idle = setTimeout(() => evict(key, pooled), IDLE_MS).unref();
    };
    const failed = (error: unknown): never => {
      if (error instanceof CodedError && error.code === 'UNAUTHENTICATED') evictOnce(pooled, () => evict(key, pooled));
      throw error;
    };
    try {
      return new Lease(await pooled.opening, release, failed);
    } catch (error) {
      // It never opened: the next user tries again.
      evictOnce(pooled, () => evict(key, pooled));
      pooled.users -= 1;
      throw error;
    }
  };
}

function evictOnce(shared: PooledConnector, retire: () => void): void {
  if (!shared.retired) retire();
}

/** One user's share of an upstream. */
class Lease implements UpstreamCatalog {
  readonly #upstream: UpstreamCatalog;
  readonly #failed: (error: unknown) => never;
  #release: (() => void) | undefined;
  readonly listViews?: (namespace: NamespacePath, page: PageRequest) => Promise<Page<ViewRef>>;
  readonly describeView?: (view: ViewRef) => Promise<ViewDescriptor>;

  constructor(upstream: UpstreamCatalog, release: () => void, failed: (error: unknown) => never) {
    this.#upstream = upstream;
    this.#release = release;
    this.#failed = failed;
    if (upstream.listViews && upstream.describeView) {
      this.listViews = (namespace, page) => upstream.listViews!(namespace, page).catch(failed);
      this.describeView = (view) => upstream.describeView!(view).catch(failed);
    }
  }

  get usage(): Readonly<Usage> {
    return this.#upstream.usage;
  }

  listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    return this.#upstream.listNamespaces(parent, page).catch(this.#failed);
  }

  listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    return this.#upstream.listTables(namespace, page).catch(this.#failed);
  }

  fingerprint(table: TableRef, known?: string): Promise<string> {
    return this.#upstream.fingerprint(table, known).catch(this.#failed);
  }

  openTable(table: TableRef, known?: () => Promise<KnownTable | undefined>): Promise<TableReader> {
    return this.#upstream.openTable(table, known).catch(this.#failed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release?.();
    this.#release = undefined;
  }
}
