import { afterEach } from '@jest/globals';
import type { ResolvedSpec, WorkerLimits } from '../../../src/connectors/connector-spec.ts';
import { openRestCatalog } from '../../../src/connectors/rest/rest-connector.ts';
import type { Page, PageRequest, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import {
  type FakeServer,
  type ReceivedRequest,
  respondWithError,
  respondWithJson,
  startFakeServer,
} from './fake-server.ts';

/** Closed at the end of each test, last opened first. */
export const cleanUp: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of cleanUp.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

export type Responder = (request: ReceivedRequest, response: import('node:http').ServerResponse, n: number) => void;

export const CONFIG = { defaults: {}, overrides: {} };

/** Starts a fake catalog. `paths` has, by path without query, a function or the JSON of the response. */
export async function catalog(paths: Record<string, unknown>, config: object = CONFIG): Promise<FakeServer> {
  const counts = new Map<string, number>();
  const server = await startFakeServer((request, response) => {
    const path = request.path.replace(/\?.*/, '');
    const content = path === '/v1/config' ? (paths[path] ?? config) : paths[path];
    const n = (counts.get(path) ?? 0) + 1;
    counts.set(path, n);
    if (typeof content === 'function') return (content as Responder)(request, response, n);
    if (content === undefined) return respondWithError(response, 404, 'NoSuchThingException', `nothing at ${path}`);
    respondWithJson(response, content);
  });
  cleanUp.push(server);
  return server;
}

export async function open(
  { url }: { url: string },
  properties: Record<string, string> = {},
  auth: Partial<ResolvedSpec['auth']> = {},
  limits: WorkerLimits = {},
): Promise<UpstreamCatalog> {
  const spec = {
    kind: 'ICEBERG' as const,
    uri: url,
    properties,
    auth: { scheme: '', headerHints: {}, properties: {}, ...auth },
  };
  const connector = await openRestCatalog(spec, limits);
  cleanUp.push(connector);
  return connector;
}

/** All items of a listing. */
export async function listAll<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 2): Promise<T[]> {
  const items: T[] = [];
  let token: string | undefined;
  for (let pages = 0; pages < 100; pages++) {
    const page = await list({ size, token });
    items.push(...page.items);
    token = page.nextToken;
    if (token === undefined) return items;
  }
  throw new Error('the listing does not end');
}
