import { openConnector } from '../../../src/connectors/open-connector.ts';
import type { Page, PageRequest, UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { plainSpec } from '../spec.ts';
import { UnityServer } from './unity-server.ts';

/** What a test file closes after each test. */
export const cleanUp: AsyncDisposable[] = [];

export async function closeAll(): Promise<void> {
  for (const resource of cleanUp.splice(0).reverse()) await resource[Symbol.asyncDispose]();
}

export async function unityServer(): Promise<UnityServer> {
  const server = await UnityServer.start();
  cleanUp.push(server);
  return server;
}

/** Opens a connector of the catalog `main`. */
export async function openUnity(
  server: UnityServer,
  properties: Record<string, string> = {},
  auth: { scheme?: string; secretRef?: string; properties?: Record<string, string> } = {},
): Promise<UpstreamCatalog & Required<Pick<UpstreamCatalog, 'listViews' | 'describeView'>>> {
  const plain = plainSpec('UNITY', server.url);
  const spec = { ...plain, properties: { catalog: 'main', ...properties }, auth: { ...plain.auth, ...auth } };
  const upstream = await openConnector(spec, {});
  cleanUp.push(upstream);
  return upstream as Awaited<ReturnType<typeof openUnity>>;
}

/** All items of a listing. Each token goes through JSON, as it does in a history. */
export async function all<T>(list: (page: PageRequest) => Promise<Page<T>>, size = 100): Promise<T[]> {
  const items: T[] = [];
  let token: string | undefined;
  let pages = 0;
  do {
    if (pages++ === 1_000) throw new Error('the listing does not end');
    const page: Page<T> = await list({ size, token });
    items.push(...page.items);
    token = page.nextToken && JSON.parse(JSON.stringify(page.nextToken));
  } while (token !== undefined);
  return items;
}
