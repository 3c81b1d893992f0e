import { expect, it } from '@jest/globals';
import { walkFrom, walkTables, walkViews } from '../../../src/activities/listing/walk-namespaces.ts';
import { runFilter } from '../../../src/activities/options/run-filter.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { Connector } from '../../../src/generated/reconciler/v1/connectors.ts';
import { catalog, open } from '../../connectors/rest/fake-catalog.ts';

const N = 300;
const names = Array.from({ length: N }, (_, i) => `n${i}`);

/** A REST catalog of 300 namespaces with a table and a view each, in which only n7 can be listed. */
async function namespaces() {
  const root = { namespaces: names.map((name) => [name]) };
  const of = (name: string) => ({ identifiers: [{ namespace: ['n7'], name }] });
  return catalog(
    {
      '/v1/namespaces': ({ path }: { path: string }, response: import('node:http').ServerResponse) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(path.includes('parent=') ? { namespaces: [] } : root));
      },
      '/v1/namespaces/n7/tables': of('t'),
      '/v1/namespaces/n7/views': of('v'),
    },
    { defaults: { 'view-endpoints-supported': 'true' }, overrides: {} },
  );
}

it.each<[string, object]>([
  ['include one namespace', { includeNamespaces: ['n7'] }],
  ['include its tables', { includeTables: ['n7.*'] }],
  ['exclude all others', { excludeNamespaces: names.filter((name) => name !== 'n7') }],
])('patterns that %s cost one request per walk more than a source that is that namespace', async (_, source) => {
  const server = await namespaces();
  const upstream = await open(server);
  const walked = async (path: string[], source: object) => {
    const connector = Connector.fromPartial({ source });
    const options = () => ({
      ...{ filter: runFilter(connector), children: new Map(), limit: 100, onProgress: () => {}, isLastAttempt: true },
    });
    const requests = server.requests.length;
    const tables = await walkTables(upstream, walkFrom(path), options());
    const views = await walkViews(upstream as Required<UpstreamCatalog>, walkFrom(path), options());
    expect([...tables.items, ...views.items].map(({ name }) => name)).toEqual(['t', 'v']);
    expect([...tables.refused, ...views.refused]).toEqual([]);
    return { leftOut: tables.namespacesLeftOut, requests: server.requests.length - requests };
  };
  const bySource = await walked(['n7'], { namespacePath: ['n7'] });
  const byPatterns = await walked([], source);
  // One for the tables and one for the views: each lists the root once.
  expect(byPatterns.requests - bySource.requests).toBeLessThanOrEqual(2);
  expect(byPatterns.leftOut).toBe(N - 1);
});
