import { CodedError } from '../../errors.ts';
import { LruCache } from '../../storage/lru-cache.ts';
import type { CatalogDeps, TenantLimits } from '../core/ports.ts';
import { currentCall } from '../identity/current-call.ts';
import { type Counted, countOf, type Limits, limitsOf } from '../store/tenants/usage.ts';

/** Limits and counts are read again after this time, so that a changed limit takes effect and counting costs little. */
const REREAD_MS = 10_000;
/** Callers try again after this time if a tenant has as much as it may have. */
const FULL_RETRY_MS = 10_000;
/** Callers try a stream again after this time. */
const STREAM_RETRY_MS = 1_000;
const MAX_TENANTS = 1_000;

const WORDS: Record<Counted, string> = {
  connectors: 'connectors',
  tables: 'tables',
  files: 'data and delete files',
  runningJobs: 'running jobs',
};

/** What is known of one tenant. */
interface State {
  limits: Promise<Limits>;
  readAt: number;
  /** Requests that may be made at once; see `admit`. */
  tokens: number;
  filledAt: number;
  streams: number;
  counts: Partial<Record<Counted, { at: number; count: Promise<number> }>>;
}

/** Keeps tenants within the limits that the database has for them. */
export function createTenantLimits({ db }: Pick<CatalogDeps, 'db'>): TenantLimits {
  const states = new LruCache<string, State>(MAX_TENANTS);
  return {
    async admit(tenant) {
      const state = stateOf(tenant);
      const { requestsPerSecond: rate } = await state.limits;
      const now = performance.now();
      state.tokens = Math.min(rate, state.tokens + ((now - state.filledAt) * rate) / 1000);
      state.filledAt = now;
      if (state.tokens >= 1) {
        state.tokens -= 1;
        return;
      }
      throw exhausted(tenant, `has made more than ${rate} requests in a second`, Math.ceil(1000 / rate));
    },

    async openStream(tenant) {
      const state = stateOf(tenant);
      const { openStreams } = await state.limits;
      if (state.streams >= openStreams) {
        throw exhausted(tenant, `has ${openStreams} streams open, as many as it may`, STREAM_RETRY_MS);
      }
      state.streams += 1;
      return () => {
        state.streams -= 1;
      };
    },

    async excess(counted) {
      const tenant = currentCall()?.tenant;
      // The catalog's own work is not limited.
      if (tenant === undefined) return undefined;
      const state = stateOf(tenant);
      const limit = (await state.limits)[counted];
      const count = await countFor(state, tenant, counted);
      if (count < limit) return undefined;
      return exhausted(tenant, `has ${count} ${WORDS[counted]}, and may have ${limit}`, FULL_RETRY_MS);
    },
  };

  function stateOf(tenant: string): State {
    const now = performance.now();
    const known = states.get(tenant);
    if (known && now - known.readAt < REREAD_MS) return known;
    const limits = limitsOf(db, tenant);
    const fresh = { tokens: Number.POSITIVE_INFINITY, filledAt: now, streams: 0, counts: {}, ...known };
    const state = Object.assign(known ?? fresh, { ...fresh, limits, readAt: now });
    states.set(tenant, state);
    // A failure is the caller's, and the next call reads again.
    limits.catch(() => states.delete(tenant));
    return state;
  }

  function countFor(state: State, tenant: string, counted: Counted): Promise<number> {
    const now = performance.now();
    const known = state.counts[counted];
    if (known && now - known.at < maxAge(counted)) return known.count;
    const count = countOf(db, tenant, counted);
    state.counts[counted] = { at: now, count };
    count.catch(() => delete state.counts[counted]);
    return count;
  }
}

/** What is few is counted each time. */
function maxAge(counted: Counted): number {
  return counted === 'tables' || counted === 'files' ? REREAD_MS : 0;
}

function exhausted(tenant: string, what: string, retryAfterMs: number): CodedError {
  return new CodedError(
    'RESOURCE_EXHAUSTED',
    `tenant '${tenant}' ${what}: wait, or have the limit raised with \`reconciler tenant update\``,
    { retryAfterMs },
  );
}
