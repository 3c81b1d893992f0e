import { z } from 'zod';
import { TENANT_ID } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import { type Tenant, TenantLimits, type TenantsServiceImplementation } from '../../generated/reconciler/v1/tenants.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, required } from '../rpc/violations.ts';
import { removeJobsOfTenant } from '../store/cleanup/remove-jobs.ts';
import { type AllTenants, scopedTo } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import * as store from '../store/tenants/tenants.ts';

const tokens = new PageTokens('ListTenants', z.object({ tenantId: z.string() }));

export interface TenantsDeps {
  db: AllTenants;
  /** Called after a tenant was changed or deleted, for what is kept of it in memory. */
  onChange: (tenantId: string) => void;
}

/** The service Tenants. */
export function createTenantsService({ db, onChange }: TenantsDeps): TenantsServiceImplementation {
  return {
    async createTenant(request) {
      const tenant = required(request.tenant, 'tenant');
      checkTenant(tenant);
      return write(db, (trx) => store.insertTenant(trx, tenant));
    },

    async getTenant({ tenantId }) {
      checkTenantId(tenantId, 'tenant_id');
      return store.getTenant(db, tenantId);
    },

    async listTenants(request) {
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, null);
      const { items, last } = await store.listTenants(db, size, after?.tenantId);
      return { tenants: items, nextPageToken: last ? tokens.encode({ tenantId: last.tenantId }, null) : '' };
    },

    async updateTenant(request) {
      const tenant = required(request.tenant, 'tenant');
      checkTenant(tenant);
      const updated = await write(db, async (trx) => {
        const stored = await store.getTenant(trx, tenant.tenantId);
        checkEtag(tenant.tenantId, tenant.etag, stored.etag);
        if (tenant.temporalNamespace !== stored.temporalNamespace) await refuseMove(trx, stored);
        return store.updateTenant(trx, tenant);
      });
      onChange(tenant.tenantId);
      return updated;
    },

    async deleteTenant({ tenantId, etag }) {
      checkTenantId(tenantId, 'tenant_id');
      const check = async (trx: AllTenants) => {
        checkEtag(tenantId, etag, (await store.getTenant(trx, tenantId)).etag);
        await store.refuseInUse(trx, tenantId);
      };
      await check(db);
      // In small steps, since there may be many.
      await removeJobsOfTenant(scopedTo(db, tenantId));
      await write(db, async (trx) => {
        await check(trx);
        await store.deleteTenant(trx, tenantId);
      });
      onChange(tenantId);
      return {};
    },
  };
}

/** Schedules and running jobs would stay in the old namespace. */
async function refuseMove(db: AllTenants, { tenantId, temporalNamespace }: Tenant): Promise<void> {
  if (!(await store.hasConnectors(db, tenantId))) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `the Temporal namespace of tenant '${tenantId}' is '${temporalNamespace}' and cannot be changed while the tenant has connectors: ` +
      'their schedules and jobs are in that namespace',
  );
}

function checkEtag(id: string, etag: string, stored: string): void {
  if (etag === '' || etag === stored) return;
  throw new CodedError(
    'ABORTED',
    `tenant '${id}' was changed meanwhile (its etag differs): read it again and repeat the change with its new etag`,
  );
}

const ID_RULE = 'must have 1 to 63 lower-case letters, digits and hyphens, and begin with a letter';

function checkTenantId(id: string, field: string): void {
  const checks = new Checks();
  checks.that(TENANT_ID.test(id), field, ID_RULE);
  checks.done();
}

/** Names in Temporal. */
const MAX_NAME = 255;
const NAME = /^[!-~]*$/;

function checkTenant({ tenantId, description, temporalNamespace, taskQueue, limits }: Tenant): void {
  const checks = new Checks();
  checks.that(TENANT_ID.test(tenantId), 'tenant.tenant_id', ID_RULE);
  checks.text(description, 'tenant.description');
  for (const [field, name] of Object.entries({ temporal_namespace: temporalNamespace, task_queue: taskQueue })) {
    const isName = checks.text(name, `tenant.${field}`, { max: MAX_NAME });
    if (isName) checks.that(NAME.test(name), `tenant.${field}`, 'has a space, or a character that is not ASCII');
  }
  for (const [field, limit] of Object.entries(limits ?? TenantLimits.create())) {
    const name = field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    checks.that(limit >= 0, `tenant.limits.${name}`, `${limit} is negative; 0 stands for the default`);
  }
  checks.done();
}
