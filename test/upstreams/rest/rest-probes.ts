import { expect } from '@jest/globals';
import { openRestCatalog } from '../../../src/connectors/rest/rest-connector.ts';
import type { Page, PageRequest, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';

export const SCHEMA = {
  type: 'struct',
  'schema-id': 0,
  fields: [{ id: 1, name: 'id', required: false, type: 'long' }],
};

export async function send(method: string, url: string, json?: object): Promise<Response> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(json && { body: JSON.stringify(json) }),
  });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return response;
}

export async function open(uri: string, properties: Record<string, string> = {}): Promise<UpstreamCatalog> {
  return openRestCatalog(
    { kind: 'ICEBERG', uri, properties, auth: { scheme: '', headerHints: {}, properties: {} } },
    {},
  );
}

export async function all<T>(list: (page: PageRequest) => Promise<Page<T>>, size: number): Promise<T[]> {
  const items: T[] = [];
  for (let token: string | undefined; ; ) {
    const page = await list({ size, token });
    expect(page.items.length).toBeLessThanOrEqual(size);
    items.push(...page.items);
    token = page.nextToken;
    if (token === undefined) return items;
  }
}

/** Changes a table with a commit to the catalog. */
export function setProperty(root: string, namespace: string, table: string, value: string): Promise<Response> {
  return send('POST', `${root}/namespaces/${namespace}/tables/${table}`, {
    requirements: [],
    updates: [{ action: 'set-properties', updates: { changed: value } }],
  });
}

export async function expectFingerprints(uri: string, table: TableRef, change: () => Promise<unknown>): Promise<void> {
  await using connector = await open(uri);
  const known = (await connector.openTable(table)).descriptor.fingerprint;
  await using later = await open(uri);
  for (let i = 0; i < 2; i++) {
    expect(await later.fingerprint(table, known)).toBe(known);
    expect(await later.fingerprint(table)).toBe(known);
  }
  await change();
  const changed = await later.fingerprint(table, known);
  expect(changed).not.toBe(known);
  expect((await later.openTable(table)).descriptor.fingerprint).toBe(changed);
  expect(await connector.fingerprint(table, changed)).toBe(changed);
}
