import type { JobControl } from '../../contract/job-control.ts';
import { CodedError } from '../../errors.ts';
import { LruCache } from '../../storage/lru-cache.ts';
import type { AllTenants } from '../store/database/scoped.ts';
import { findTenant } from '../store/tenants/tenants.ts';

/** Access to Temporal. A function is called when it is first needed, and again if it failed. */
export type Jobs = JobControl | (() => Promise<JobControl>);

export interface JobSources {
  /** In the catalog's own namespace, which tenants share by default. */
  jobs: Jobs;
  /** Connects to the namespace of a tenant that has its own. Absent: such tenants cannot run jobs here. */
  jobsIn?: (namespace: string) => Promise<JobControl>;
}

export interface TenantJobs {
  /** Temporal, in the namespace of the tenant. @throws CodedError UNAVAILABLE if Temporal cannot be reached */
  of(tenant: string): Promise<JobControl>;
  /** Forgets the namespace of a tenant that was changed or deleted. */
  forget(tenant: string): void;
  /** Closes the connections that were opened here. */
  close(): Promise<void>;
}

/** Tenants whose namespaces are remembered. */
const MAX_TENANTS = 10_000;

/** Connects to the namespaces of tenants when they are first needed, and once to each of them. */
export function createTenantJobs({ jobs, jobsIn }: JobSources, db: AllTenants): TenantJobs {
  const namespaces = new LruCache<string, string>(MAX_TENANTS);
  const shared = typeof jobs === 'function' ? lazily(jobs) : undefined;
  // One per namespace that a tenant has. The connections stay open, since a call may be using them; there are as many as namespaces.
  const own = new Map<string, Lazy>();
  return {
    async of(tenant) {
      const namespace = namespaces.get(tenant) ?? (await findTenant(db, tenant))?.temporalNamespace ?? '';
      namespaces.set(tenant, namespace);
      if (namespace === '') return shared?.get() ?? (jobs as JobControl);
      let connection = own.get(namespace);
      if (!connection) {
        connection = lazily(() => connect(namespace));
        own.set(namespace, connection);
      }
      return connection.get();
    },

    forget: (tenant) => namespaces.delete(tenant),

    async close() {
      await Promise.all([shared, ...own.values()].map((connection) => connection?.close()));
    },
  };

  async function connect(namespace: string): Promise<JobControl> {
    if (jobsIn) return jobsIn(namespace);
    throw new CodedError(
      'UNAVAILABLE',
      `this catalog service is not connected to the Temporal namespace '${namespace}'`,
    );
  }
}

interface Lazy {
  get(): Promise<JobControl>;
  close(): Promise<void>;
}

/** Connects on first use, until `close`. */
function lazily(connect: () => Promise<JobControl>): Lazy {
  let connected: Promise<JobControl> | undefined;
  let closed = false;
  return {
    async get() {
      if (closed) throw new CodedError('UNAVAILABLE', 'the catalog service is stopping');
      connected ??= connect().catch((cause) => {
        connected = undefined;
        if (cause instanceof CodedError) throw cause;
        throw new CodedError('UNAVAILABLE', `Temporal cannot be reached: ${(cause as Error).message}`, { cause });
      });
      return connected;
    },
    async close() {
      closed = true;
      await (await connected?.catch(() => undefined))?.close();
    },
  };
}
