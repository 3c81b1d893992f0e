import { afterEach } from '@jest/globals';
import type { ResolvedSpec, WorkerLimits } from '../../../src/connectors/connector-spec.ts';
import { openRestCatalog } from '../../../src/connectors/rest/rest-connector.ts';
import type { Page, PageRequest, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { type AnsweringServer, type Asked, answerError, answeringServer, answerJson } from './answering-server.ts';

/** What ends with each test. */
export const cleanUp: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

export type Answer = (asked: Asked, response: import('node:http').ServerResponse, n: number) => void;

export const CONFIG = { defaults: {}, overrides: {} };

/** A catalog that answers by path without query; a function, or what is answered as JSON. */
export async function catalog(paths: Record<string, unknown>, config: object = CONFIG): Promise<AnsweringServer> {
  const counts = new Map<string, number>();
  const server = await answeringServer((asked, response) => {
    const path = asked.path.replace(/\?.*/, '');
    const answer = path === '/v1/config' ? (paths[path] ?? config) : paths[path];
    const n = (counts.get(path) ?? 0) + 1;
    counts.set(path, n);
    if (typeof answer === 'function') return (answer as Answer)(asked, response, n);
    if (answer === undefined) return answerError(response, 404, 'NoSuchThingException', `nothing at ${path}`);
    answerJson(response, answer);
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
export async function all<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 2): Promise<T[]> {
  const items: T[] = [];
  let token: string | undefined;
  for (let pages = 0; pages < 100; pages++) {
    const page = await list({ size, token });
    items.push(...page.items);
    token = page.nextToken;
    if (token === undefined) return items;
  }
  throw new Error('no end');
}
