import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isAllowed, permissionsFor } from '../../../src/catalog/auth/permissions.ts';
import { ROLES, type Role } from '../../../src/catalog/identity/principal.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { idsIn, replaced, unknownIdLike } from './ids.ts';
import { RECIPES } from './recipes.ts';
import { Replay, recordExecuted, tenantTables } from './replay.ts';
import { PUBLIC, TestTenant } from './tenant.ts';
import { METHODS, SharedCatalog } from './two-tenants.ts';

const folder = mkdtempSync(join(tmpdir(), 'replay-'));
const replay = new Replay(folder, 'acme', 'umbrella');
let catalog: SharedCatalog;
let acme: TestTenant;
let umbrella: TestTenant;
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a catalog with two tenants for the tests that follow. */
function withTwoTenants(): void {
  beforeAll(async () => {
    catalog = await SharedCatalog.start();
    acme = await TestTenant.create(catalog, 'acme');
    umbrella = await TestTenant.create(catalog, 'umbrella');
  });
  afterAll(() => catalog.stop());
}

/** Everything that the catalog stores of a tenant. */
function rowsOf(tenant: string): string {
  const database = new Sqlite(catalog.file, { readonly: true });
  try {
    const rows = tenantTables(database).map((table) =>
      database.prepare(`select * from ${table} where tenant_id = ? order by rowid`).all(tenant),
    );
    const nums = '(select table_num from tables where tenant_id = ?)';
    for (const table of ['snapshots', 'files', 'chains', 'table_schemas', 'derived_ndv', 'column_states']) {
      rows.push(database.prepare(`select * from ${table} where table_num in ${nums} order by rowid`).all(tenant));
    }
    return JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
  } finally {
    database.close();
  }
}

const rolesFor = (path: string): Role[] => ROLES.filter((role) => isAllowed([role], permissionsFor(path)!));
const TENANT_RPCS = [...METHODS.keys()].filter((path) => !path.startsWith(`${PUBLIC}Tenants/`));

/** The requests of a recipe for both tenants, which give the same names to all that it makes. */
async function both(recipe: (tenant: TestTenant) => Promise<object>) {
  TestTenant.nextRound(acme, umbrella);
  return [await recipe(acme), await recipe(umbrella)] as const;
}

/** Makes calls of acme, of which umbrella must not notice anything and in which nothing of it may be seen. */
async function unnoticed<T>(work: () => Promise<T>, textOf: (result: T) => string): Promise<T> {
  const [before, logged] = [rowsOf('umbrella'), catalog.log.length];
  const result = await work();
  expect(rowsOf('umbrella')).toBe(before);
  expect(textOf(result)).not.toContain(umbrella.nonce);
  expect(catalog.log.slice(logged).join('\n')).not.toContain(umbrella.nonce);
  return result;
}

it('every RPC that belongs to tenants has a recipe', () => {
  expect([...RECIPES.keys()].sort()).toEqual(TENANT_RPCS.sort());
});

describe.each(TENANT_RPCS)('%s', (path) => {
  withTwoTenants();
  const roles = rolesFor(path);
  const cases = RECIPES.get(path)!;

  it('is refused to other roles before anything is read', async () => {
    for (const role of ROLES.filter((role) => !roles.includes(role))) {
      const stop = recordExecuted();
      const { code } = await catalog.call(path, `${role}@acme`, METHODS.get(path)!.method.requestStream ? [] : {});
      expect([code, stop()]).toEqual(['PERMISSION_DENIED', []]);
    }
  });

  const numbered = cases.map((recipe, index) => [index, recipe] as const);

  it.each(numbered)('recipe %i: ids of the other tenant are unknown', async (_, recipe) => {
    let [own, others] = await both(recipe);
    for (const role of roles) {
      for (const places of placesIn(own, others)) {
        const made = idsIn(own, others);
        const [expected, foreign] = [await answer(own, others, unknownIdLike), await answer(own, others, (id) => id)];
        const name = `${path.split('/').at(-1)} ${fieldOf(places)}`;
        if (name !== SHARED_ID) {
          expect([places, foreign.code, foreign.text]).toEqual([places, expected.code, expected.text]);
        }
        if (places.length === made.filter(({ own }) => own === idAt(made, places)).length) {
          expect([name, foreign.code]).toEqual([name, expect.stringMatching(`^(${UNKNOWN_IS[name] ?? 'NOT_FOUND'})$`)]);
        }

        async function answer(request: object, other: object, choose: (id: string) => string) {
          const ids = idsIn(request, other).filter(({ at }) => places.includes(at));
          const id = choose(ids[0]!.id);
          const changed = ids.reduce((request, { at }) => replaced(request, at, id), request);
          const isLast = role === roles.at(-1);
          if (isLast) replay.before(catalog.file);
          let executed: ReturnType<ReturnType<typeof recordExecuted>> = [];
          const { code, text } = await unnoticed(
            async () => {
              const stop = recordExecuted();
              const outcome = await catalog.call(path, `${role}@acme`, changed);
              executed = stop();
              return outcome;
            },
            ({ text, response }) => `${text} ${response}`,
          );
          if (isLast) expect(replay.after(executed)).toEqual([]);
          // What the call has made or changed must not be there for the next one.
          if (code === 'OK') [own, others] = await both(recipe);
          return { code, text: code === 'OK' ? '' : comparable(text, id, request, other) };
        }
      }
    }
  });

  it.each(numbered)('recipe %i: its statements concern one tenant', async (_, recipe) => {
    const [own, others] = await both(recipe);
    const role = roles.at(-1)!;
    replay.before(catalog.file);
    let executed: ReturnType<ReturnType<typeof recordExecuted>> = [];
    const served = await unnoticed(
      async () => {
        const stop = recordExecuted();
        const outcome = await catalog.call(path, `${role}@acme`, own);
        // What a call begins in the background.
        await setTimeout(20);
        executed = stop();
        return outcome;
      },
      ({ text }) => text,
    );
    const name = `${path.split('/').at(-1)} ${cases.indexOf(recipe)}`;
    expect([name, served.code, served.text]).toEqual([name, REFUSED[name] ?? 'OK', expect.anything()]);
    expect(executed).not.toEqual([]);
    expect(replay.after(executed)).toEqual([]);
    const rows = rowsOf('acme');
    const again = await catalog.call(path, `${role}@umbrella`, others);
    // What the same call returns to the other tenant is its own.
    expect([again.code, again.text.includes(acme.nonce), rowsOf('acme') === rows]).toEqual([served.code, false, true]);
  });
});

/** The places of ids that are replaced together: each one, and all that have the same id. */
function placesIn(own: object, others: object): string[][] {
  const ids = idsIn(own, others);
  const together = [...new Set(ids.map(({ own }) => own))].map((id) => ids.filter(({ own }) => own === id));
  return [
    ...ids.map(({ at }) => [at]),
    ...together.filter((group) => group.length > 1).map((group) => group.map(({ at }) => at)),
  ];
}

const idAt = (ids: ReturnType<typeof idsIn>, [first]: string[]) => ids.find(({ at }) => at === first)?.own;

/** The first field of some places: `job.jobId`. */
const fieldOf = ([first = '[]']: string[]) =>
  (JSON.parse(first) as (string | number)[])
    .filter((key) => typeof key === 'string' && !['request', 'value'].includes(key))
    .join('.');

/** A message without what differs from call to call: the ids and numbers in it. */
function comparable(text: string, id: string, own: object, others: object): string {
  const named = [{ at: 'id', own: id }, ...idsIn(own, others)].sort((a, b) => b.own.length - a.own.length);
  return named.reduce((text, { at, own }) => text.replaceAll(own, at), text).replace(/\d+/g, '0');
}

/** What becomes of a call with an id that exists nowhere, or in another tenant, if that is not NOT_FOUND. */
const UNKNOWN_IS: Record<string, string> = {
  // Nothing is done with those that are unknown.
  'MarkMissing objectIds': 'OK',
  'DropMissing tableIds': 'OK',
  'DropMissing viewIds': 'OK',
  'RecordJobOutcomes jobId': 'OK',
  'ClaimConnector deadHolderJobId': 'OK',
  // A run of the tenant's own job.
  'ClaimConnector runId': 'OK',
  // A filter.
  'ListReconcileJobs connectorId': 'OK',
  // Workers name their jobs: the tenant has a job of its own with the id then.
  'ClaimConnector job.jobId': 'OK',
  'EndJob job.jobId': 'OK|FAILED_PRECONDITION',
  'RecordJob job.jobId': 'OK',
  // They are kept with the tenant's own job or connector, and looked up within the tenant when they are used.
  'EndJob connectorId': 'OK',
  'RecordJob job.connectorId': 'OK',
  'CreateConnector connector.destination.catalogId': 'OK',
  'BindDestination destination.catalogId': 'OK',
  'BindDestination destination.namespaceId': 'OK',
  'BindDestination destination.tableId': 'OK',
  // The upstream name is bound to another table.
  'EnsureTable tableId': 'ABORTED',
  'CommitSnapshot tableId': 'NOT_FOUND|ABORTED',
  // Without the connector's claim, a call under one does nothing.
  'EndJob under.connectorId': 'FAILED_PRECONDITION',
  'EndJob under.runId': 'FAILED_PRECONDITION',
  'CommitSnapshot under.connectorId': 'FAILED_PRECONDITION',
};

/** Whoever creates a table with an id that any tenant's table has is told so: an id is a table's, whoever asks. Nobody can guess one. */
const SHARED_ID = 'EnsureTable tableId';

/** Calls that are refused in the end: what they look up concerns one tenant nevertheless. */
const REFUSED: Record<string, string> = {
  'EnsureTable 2': 'ALREADY_EXISTS',
  'EnsureTable 5': 'ABORTED',
  'DeleteCatalog 1': 'FAILED_PRECONDITION',
  'ClaimConnector 1': 'FAILED_PRECONDITION',
  'EndJob 1': 'FAILED_PRECONDITION',
  'RecordJobChanges 1': 'ALREADY_EXISTS',
  'Resolve 2': 'NOT_FOUND',
};

/** Conditions without which a statement has the same effect, since another one holds whenever they do. */
const EQUIVALENT = [
  // Where to begin the search: what is found has its own condition.
  /min\("job_num"\) as "first".* \[1\]$/,
  // A table or view and its namespace have one tenant.
  /^select .* from "(tables|views)" inner join "namespaces" .* order by .* \[0\]$/s,
  // The id is that of a connector of the tenant, which the same transaction has read.
  /^delete from "claim_waiters" where "tenant_id" = \? and "connector_id" = \? \[0\]$/,
];

describe('tenants', () => {
  withTwoTenants();

  it('tokens of pages belong to a tenant', async () => {
    for (const tenant of [acme, umbrella]) for (let n = 0; n < 2; n += 1) await tenant.aCatalog();
    const path = `${PUBLIC}Catalogs/ListCatalogs`;
    const { nextPageToken: pageToken } = await catalog.need(path, 'reader@umbrella', { pageSize: 1 });
    expect(await catalog.call(path, 'reader@umbrella', { pageSize: 1, pageToken })).toMatchObject({ code: 'OK' });
    expect(await catalog.call(path, 'reader@acme', { pageSize: 1, pageToken })).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('a tenant that does not exist is not found', async () => {
    const found = await catalog.call(`${PUBLIC}Catalogs/ListCatalogs`, 'reader@nobody', {});
    expect(found).toMatchObject({ code: 'NOT_FOUND', text: "tenant 'nobody' does not exist" });
  });

  it('random calls with ids of both tenants reach nothing of the other', async () => {
    const calls: { path: string; role: Role; own: object; ids: ReturnType<typeof idsIn> }[] = [];
    for (const [path, cases] of RECIPES) {
      for (const recipe of cases) {
        const [own, others] = await both(recipe);
        for (const role of rolesFor(path)) calls.push({ path, role, own, ids: idsIn(own, others) });
      }
    }
    const step = fc.record({
      call: fc.constantFrom(...calls),
      which: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        for (const { call, which } of steps) {
          const choices = call.ids.map(({ at, id }, index) => ({
            at,
            id: which[index] === 1 ? id : which[index] === 2 ? unknownIdLike(id) : undefined,
          }));
          const request = choices.reduce(
            (request, { at, id }) => (id === undefined ? request : replaced(request, at, id)),
            call.own,
          );
          await unnoticed(
            () => catalog.call(call.path, `${call.role}@acme`, request),
            ({ text, response }) => `${text} ${response}`,
          );
        }
      }),
      // The catalog looks for lost jobs after half a minute, which may concern umbrella.
      { numRuns: Number(process.env.SEQUENCES ?? 1000), interruptAfterTimeLimit: 15_000 },
    );
  });
});

it('each condition of a tenant is needed', () => {
  const survivors = [...replay.conditions]
    .filter(([, killed]) => !killed)
    .map(([id]) => id)
    .filter((id) => !EQUIVALENT.some((one) => one.test(id)));
  if (process.env.LIST_CONDITIONS)
    console.log([...replay.conditions].map(([id, killed]) => `${killed ? 'needed' : 'SURVIVES'}: ${id}`).join('\n'));
  expect(survivors).toEqual([]);
  expect(replay.conditions.size).toBeGreaterThan(60);
});
