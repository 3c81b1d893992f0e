import type { CompatServiceDefinition } from 'nice-grpc';
import { LruCache } from '../../storage/lru-cache.ts';
import { currentCall } from '../identity/current-call.ts';
import type { AllTenants } from '../store/database/scoped.ts';
import { getTenant } from '../store/tenants/tenants.ts';

type Rpc = (request: unknown, context: unknown) => unknown;
type Implementation = Record<string, Rpc>;

/** The implementations of all services for one tenant, by the names of the services. */
export type Implementations = Record<string, object>;

/** Tenants whose services are kept: some kilobytes each. What must outlive them is shared by all. */
const MAX_TENANTS = 1_000;

export interface TenantServices {
  /** An implementation of the service that passes each call on to the one of the call's tenant. */
  dispatcher(definition: CompatServiceDefinition): object;
  /** Forgets the services of a tenant that was changed or deleted. */
  forget(tenant: string): void;
}

/**
 * Builds the services of a tenant when it is first called.
 *
 * @param build makes the services of a tenant that exists
 */
export function createTenantServices(db: AllTenants, build: (tenant: string) => Implementations): TenantServices {
  const built = new LruCache<string, Implementations>(MAX_TENANTS);
  return {
    dispatcher(definition) {
      const { fullName, methods } = definition as unknown as {
        fullName: string;
        methods: Record<string, { responseStream: boolean }>;
      };
      const rpcs = Object.entries(methods).map(([name, { responseStream }]): [string, Rpc] => {
        const find = async () => {
          const service = (await ofCall())[fullName] as Implementation;
          return service[name] as Rpc;
        };
        if (!responseStream) return [name, async (request, context) => (await find())(request, context)];
        return [
          name,
          async function* (request, context) {
            yield* (await find())(request, context) as AsyncIterable<unknown>;
          },
        ];
      });
      return Object.fromEntries(rpcs);
    },

    forget: (tenant) => built.delete(tenant),
  };

  /** @throws CodedError NOT_FOUND if the tenant does not exist; only a caller who may name any tenant can name such a one */
  async function ofCall(): Promise<Implementations> {
    const tenant = currentCall()?.tenant;
    if (tenant === undefined) throw new Error('a call of a service that belongs to tenants has none');
    const known = built.get(tenant);
    if (known) return known;
    await getTenant(db, tenant);
    const services = build(tenant);
    built.set(tenant, services);
    return services;
  }
}
