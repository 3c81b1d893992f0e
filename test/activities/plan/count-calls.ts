import type { CatalogClients } from '../../../src/catalog-client/connect.ts';

/** The same clients, which count the calls of each method in `calls`. */
export function countCalls(clients: CatalogClients, calls: Map<string, number>): CatalogClients {
  const counted = (service: object) =>
    new Proxy(service, {
      get(target, name) {
        const method = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...input: unknown[]) => {
          calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
          return Reflect.apply(method, target, input);
        };
      },
    });
  const entries = Object.entries(clients).map(([name, service]) => [
    name,
    typeof service === 'object' && service !== null ? counted(service) : service,
  ]);
  return Object.fromEntries(entries) as CatalogClients;
}
