import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Page, PageRequest, TableEntry, UpstreamCatalog } from '../../src/connectors/spi.ts';
import type { NamespacePath, TableRef } from '../../src/contract/upstream-names.ts';
import type { CodedError } from '../../src/errors.ts';
import { appendOpened } from './opened-tables.ts';
import { SyntheticTable } from './synthetic-table.ts';
import {
  faultsOf,
  namespaceName,
  namespaceOf,
  roundsOf,
  type SyntheticUpstream,
  tableName,
  upstreamReader,
} from './synthetic-upstream.ts';

/** How often opening a table has failed in a round. Kept here because an upstream is opened and closed many times. */
const failed = new Map<string, { round: number; times: number }>();

/** An upstream with any number of tables and configured faults, whose requests cost nothing. Listings contain fingerprints. */
export class SyntheticConnector implements UpstreamCatalog {
  readonly usage = { requests: 0, bytes: 0 };
  readonly #uri: string;
  readonly #upstream: () => SyntheticUpstream;
  readonly #error: typeof CodedError;

  /** @param error the class to throw; the built code and the sources each have their own */
  constructor(uri: string, error: typeof CodedError) {
    this.#uri = uri;
    this.#upstream = upstreamReader(fileURLToPath(uri));
    this.#error = error;
  }

  async listNamespaces(parent: NamespacePath, page: PageRequest): Promise<Page<NamespacePath>> {
    this.usage.requests += 1;
    if (parent.length > 0) return { items: [] };
    return paged(this.#upstream().namespaces, page, (number) => [namespaceName(number)]);
  }

  async listTables(namespace: NamespacePath, page: PageRequest): Promise<Page<TableEntry>> {
    this.usage.requests += 1;
    const upstream = this.#upstream();
    const { namespaces, tables, refused } = upstream;
    if (namespace.length !== 1) return { items: [] };
    const number = numberIn(namespace[0]);
    if (number >= namespaces) throw new this.#error('NOT_FOUND', `there is no namespace ${namespace[0]}`);
    if (refused?.includes(number)) {
      throw new this.#error('PERMISSION_DENIED', `namespace ${namespace[0]} may not be listed (synthetic fault)`);
    }
    const tableCount = Math.ceil((tables - number) / namespaces);
    return paged(tableCount, page, (i) => {
      const table = number + i * namespaces;
      return { namespace, name: tableName(table), format: 'ICEBERG', fingerprint: fingerprintOf(table, upstream) };
    });
  }

  async fingerprint({ name }: TableRef): Promise<string> {
    this.usage.requests += 1;
    return fingerprintOf(numberIn(name), this.#upstream());
  }

  async openTable(table: TableRef): Promise<SyntheticTable> {
    this.usage.requests += 1;
    const upstream = this.#upstream();
    if (upstream.openedTables) appendOpened(upstream.openedTables, table);
    const number = numberIn(table.name);
    if (number >= upstream.tables) throw new this.#error('NOT_FOUND', `there is no table ${table.name}`);
    await this.#fail(number, upstream);
    return new SyntheticTable(
      { namespace: [namespaceName(namespaceOf(number, upstream))], name: table.name },
      {
        rounds: roundsOf(number, upstream),
        files: upstream.files ?? 1,
        fingerprint: fingerprintOf(number, upstream),
        batches: upstream.batches,
      },
    );
  }

  async #fail(table: number, upstream: SyntheticUpstream): Promise<void> {
    for (const { code, times = Number.POSITIVE_INFINITY, retryAfterMs, delayMs } of faultsOf(table, upstream)) {
      if (delayMs) await sleep(delayMs);
      if (!code) continue;
      const key = `${this.#uri} ${table}`;
      const { round = 0 } = upstream;
      const before = failed.get(key);
      const count = before?.round === round ? before.times : 0;
      if (count >= times) continue;
      failed.set(key, { round, times: count + 1 });
      throw new this.#error(code, `${tableName(table)} cannot be opened (synthetic fault ${count + 1})`, {
        retryAfterMs,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const fingerprintOf = (table: number, upstream: SyntheticUpstream) => `round ${roundsOf(table, upstream).at(-1)}`;
const numberIn = (name = '') => Number(name.slice(1));

function paged<T>(count: number, { size, token }: PageRequest, make: (i: number) => T): Page<T> {
  const from = Number(token ?? 0);
  const to = Math.min(from + size, count);
  const items = Array.from({ length: Math.max(to - from, 0) }, (_, i) => make(from + i));
  return to < count ? { items, nextToken: String(to) } : { items };
}
