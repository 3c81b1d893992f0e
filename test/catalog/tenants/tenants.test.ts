import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isAllowed, permissionsFor } from '../../../src/catalog/auth/permissions.ts';
import { ROLES, type Role } from '../../../src/catalog/identity/principal.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { idFieldsOf } from './id-fields.ts';
import { fieldAt, type IdPlace, idsIn, isOfClaim, placesIn, replaced, unknownIds } from './ids.ts';
import { RECIPES } from './recipes.ts';
import { Replay, recordExecuted, tenantTables } from './replay.ts';
import { PUBLIC, TestTenant } from './tenant.ts';
import { callerOf, METHODS, SharedCatalog } from './two-tenants.ts';

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

const query = <T>(read: (database: InstanceType<typeof Sqlite>) => T): T => {
  const database = new Sqlite(catalog.file, { readonly: true });
  try {
    return read(database);
  } finally {
    database.close();
  }
};

/** The number of the last audit event, of any tenant. */
const lastEvent = () => query((db) => db.prepare('select max(audit_num) from audit_events').pluck().get() as number);

/**
 * Everything that the catalog stores of a tenant, with its audit events up to a number: refused calls of the tenant itself are recorded within a
 * second.
 */
function rowsOf(tenant: string, event: number): string {
  const rows = query((database) => {
    const select = (sql: string) => database.prepare(sql).all(tenant);
    const nums = 'table_num in (select table_num from tables where tenant_id = ?)';
    return [
      ...tenantTables(database)
        .filter((table) => table !== 'audit_events')
        .map((table) => select(`select * from ${table} where tenant_id = ? order by rowid`)),
      select(`select * from audit_events where tenant_id = ? and audit_num <= ${event}`),
      select('select * from tokens where token_id in (select token_id from token_tenants where tenant_id = ?)'),
      select(
        'select * from missing_counts where connector_id in (select connector_id from connectors where tenant_id = ?)',
      ),
      select(
        'select * from object_names where namespace_id in (select namespace_id from namespaces where tenant_id = ?)',
      ),
      ...['snapshots', 'files', 'chains', 'table_schemas', 'derived_ndv', 'column_states'].map((table) =>
        select(`select * from ${table} where ${nums} order by rowid`),
      ),
    ];
  });
  return JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
}

/** Audit events of umbrella that others have caused. */
const strangeEvents = () =>
  query((db) =>
    db.prepare("select * from audit_events where tenant_id = 'umbrella' and subject <> ?").all(callerOf('umbrella')),
  );

const rolesFor = (path: string): Role[] => ROLES.filter((role) => isAllowed([role], permissionsFor(path)!));
/** The platform role is of no tenant: the token of one that sees tokens and events beyond its tenant is tested with them. */
const tenantRolesFor = (path: string) => rolesFor(path).filter((role) => role !== 'platform');
const TENANT_RPCS = [...METHODS.keys()].filter((path) => !path.startsWith(`${PUBLIC}Tenants/`));

/** The requests of a recipe for both tenants, which give the same names to all that it makes. */
async function both(recipe: (tenant: TestTenant) => Promise<object>) {
  await catalog.endDrafts();
  TestTenant.nextRound(acme, umbrella);
  return [await recipe(acme), await recipe(umbrella)] as const;
}

/** Makes calls of acme, of which umbrella must not notice anything and in which nothing of it may be seen. */
async function unnoticed<T>(work: () => Promise<T>, textOf: (result: T) => string): Promise<T> {
  const [event, logged] = [lastEvent(), catalog.log.length];
  const before = rowsOf('umbrella', event);
  const result = await work();
  expect(rowsOf('umbrella', event)).toBe(before);
  expect(strangeEvents()).toEqual([]);
  expect(textOf(result)).not.toContain(umbrella.nonce);
  // What is recorded of umbrella's own refused calls is logged within a second.
  const isOwn = (line: string) => line.includes('"audit":true') && line.includes('"tenant":"umbrella"');
  const lines = catalog.log.slice(logged).filter((line) => !isOwn(line));
  expect(lines.join('\n')).not.toContain(umbrella.nonce);
  return result;
}

it('every RPC that belongs to tenants has a recipe', () => {
  expect([...RECIPES.keys()].sort()).toEqual(TENANT_RPCS.sort());
});

describe('roles', () => {
  withTwoTenants();

  it.each([...METHODS.keys()])('%s is refused to other roles before anything is read', async (path) => {
    const request = METHODS.get(path)!.method.requestStream ? [] : {};
    for (const role of ROLES.filter((role) => !rolesFor(path).includes(role))) {
      const stop = recordExecuted();
      const { code } = await catalog.call(path, `${role}@acme`, request);
      expect([code, stop()]).toEqual(['PERMISSION_DENIED', []]);
    }
  });
});

describe.each(TENANT_RPCS)('%s', (path) => {
  withTwoTenants();
  const roles = tenantRolesFor(path);
  const cases = RECIPES.get(path) ?? [];
  const numbered = cases.map((recipe, index) => [index, recipe] as const);

  it.each(numbered)('recipe %i: ids of the other tenant are unknown', async (_, recipe) => {
    let [own, others] = await both(recipe);
    for (const role of roles) {
      for (const places of placesIn(idsIn(own, others))) {
        const made = idsIn(own, others);
        const fields = places.map((at) => fieldAt(own, at));
        for (const field of fields) replacedFields.add(`${path} ${field}`);
        const [expected, foreign] = [await answer(own, others, unknownIds()), await answer(own, others, (id) => id)];
        const name = `${path.split('/').at(-1)} ${fields[0]}`;
        if (name !== SHARED_ID && !(fields.includes('tableId') && name.startsWith('EnsureTable '))) {
          expect([places, foreign.code, foreign.text]).toEqual([places, expected.code, expected.text]);
        }
        const ids = new Set(made.filter(({ at }) => places.includes(at)).map(({ own }) => own));
        if (ids.size === 1 && places.length === made.filter(({ own }) => ids.has(own)).length) {
          const refusals = 'under' in own ? 'NOT_FOUND|PERMISSION_DENIED|FAILED_PRECONDITION' : 'NOT_FOUND';
          expect([name, foreign.code]).toEqual([name, expect.stringMatching(`^(${UNKNOWN_IS[name] ?? refusals})$`)]);
        } else if (places.some(isOfClaim) && !path.endsWith('/EndJob')) {
          expect([fields, foreign.code]).toEqual([fields, expect.not.stringMatching(/^OK$/)]);
        }

        async function answer(request: object, other: object, choose: (id: string) => string) {
          const ids = idsIn(request, other)
            .filter(({ at }) => places.includes(at))
            .map((one) => ({ ...one, id: choose(one.id) }));
          const changed = replaced(request, ids);
          // Nothing is found with unknown ids, whichever conditions there are.
          const isReplayed =
            role === roles.at(-1) &&
            ids.every(({ at, id }) => idsIn(request, other).some((one) => one.at === at && one.id === id));
          if (isReplayed) replay.before(catalog.file);
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
          if (isReplayed) expect(replay.after(executed)).toEqual([]);
          // What the call has made or changed must not be there for the next one.
          if (code === 'OK') [own, others] = await both(recipe);
          return { code, text: code === 'OK' ? '' : comparable(text, ids, request, other) };
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
    // GetCaller returns what is known of the caller.
    if (!path.endsWith('/GetCaller')) expect(executed).not.toEqual([]);
    expect(replay.after(executed)).toEqual([]);
    const event = lastEvent();
    const rows = rowsOf('acme', event);
    const again = await catalog.call(path, `${role}@umbrella`, others);
    // What the same call returns to the other tenant is its own.
    expect([again.code, again.text.includes(acme.nonce), rowsOf('acme', event) === rows]).toEqual([
      served.code,
      false,
      true,
    ]);
  });
});

/** A message without what differs from call to call: the ids and numbers in it. */
function comparable(text: string, ids: readonly IdPlace[], own: object, others: object): string {
  const named = [...ids.map(({ at, id }) => ({ at: `id ${at}`, own: id })), ...idsIn(own, others)];
  const longestFirst = named.sort((a, b) => b.own.length - a.own.length);
  return longestFirst.reduce((text, { at, own }) => text.replaceAll(own, at), text).replace(/\d+/g, '0');
}

/** The fields in which ids were replaced: `/reconciler.v1.Tables/GetTable tableId`. */
const replacedFields = new Set<string>();

/** What becomes of a call with an id that exists nowhere, or in another tenant, if that is not NOT_FOUND. */
const UNKNOWN_IS: Record<string, string> = {
  // Nothing is done with those that are unknown.
  'MarkMissing objectIds': 'OK',
  'DropMissing tableIds': 'OK',
  'DropMissing viewIds': 'OK',
  'RecordJobOutcomes jobId': 'OK|PERMISSION_DENIED',
  'ClaimConnector deadHolderJobId': 'OK',
  // A run of the tenant's own job.
  'ClaimConnector runId': 'OK',
  // A filter.
  'ListReconcileJobs connectorId': 'OK',
  'ListAuditEvents resource': 'OK',
  // An admin creates tokens of its own tenants, whether there are others or not.
  'CreateToken tenantIds': 'PERMISSION_DENIED',
  // An operator changes only the state of a connector, of whichever.
  'UpdateConnector connector.connectorId': 'NOT_FOUND|PERMISSION_DENIED',
  // Workers name their jobs: the tenant has a job of its own with the id then.
  'ClaimConnector job.jobId': 'OK',
  'EndJob job.jobId': 'OK|FAILED_PRECONDITION',
  'RecordJob job.jobId': 'OK|PERMISSION_DENIED',
  // They are kept with the tenant's own job or connector, and looked up within the tenant when they are used.
  'EndJob connectorId': 'OK|PERMISSION_DENIED',
  'RecordJob job.connectorId': 'OK',
  ...Object.fromEntries(
    ['catalogId', 'namespaceId', 'tableId'].flatMap((field) => [
      [`CreateConnector connector.destination.${field}`, 'OK'],
      [`ValidateConnector connector.destination.${field}`, 'OK'],
      [`UpdateConnector connector.destination.${field}`, 'OK|PERMISSION_DENIED'],
    ]),
  ),
  'EnsureDestination destination.tableId': 'OK',
  'BindDestination destination.catalogId': 'OK',
  'BindDestination destination.namespaceId': 'OK',
  'BindDestination destination.tableId': 'OK',
  // The upstream name is bound to another table.
  'EnsureTable tableId': 'ABORTED',
  'CommitSnapshot header.tableId': 'NOT_FOUND|ABORTED|FAILED_PRECONDITION|INVALID_ARGUMENT',
  // A repeated call changes nothing: the first one has released the claim.
  'EndJob under.connectorId': 'OK|FAILED_PRECONDITION',
  'EndJob under.runId': 'OK|FAILED_PRECONDITION',
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
  'MarkMissing 2': 'FAILED_PRECONDITION',
  'RecordJobChanges 2': 'ALREADY_EXISTS',
  'RecordJobOutcomes 2': 'PERMISSION_DENIED',
  'Resolve 2': 'NOT_FOUND',
};

/** Conditions without which a statement has the same effect, since another one holds whenever they do. */
const EQUIVALENT = [
  // Where to begin the search: what is found has its own condition.
  /min\("job_num"\) as "first".* \[1\]$/,
  // A table or view and its namespace have one tenant.
  /^select .* from "(tables|views)" inner join "namespaces" on .* "namespaces"."tenant_id" = "\1"."tenant_id" .* \[0\]$/s,
  // The claim is the connector's, as has been checked before: one of the two conditions is enough. Without a claim there is only the first.
  /^insert into new_tables .* \[[12]\]$/s,
  // It is counted once in a while, when the tenant of this test has no files yet; test/catalog/limits.test.ts tests the limit.
  /^select sum\("table_contents"\."files"\).* \[0\]$/,
  // The id is that of the draft that the same call has stored.
  /^delete from "connector_drafts" where "draft_id" = \? and "tenant_id" = \? \[0\]$/,
  // The id is that of a connector of the tenant, which the same transaction has read.
  /^delete from "claim_waiters" where "tenant_id" = \? and "connector_id" = \? \[0\]$/,
];

describe('tenants', () => {
  withTwoTenants();

  it('a tenant that does not exist is not found', async () => {
    const found = await catalog.call(`${PUBLIC}Catalogs/ListCatalogs`, 'reader@nobody', {});
    expect(found).toMatchObject({ code: 'NOT_FOUND', text: "tenant 'nobody' does not exist" });
  });

  it('random calls with ids of both tenants reach nothing of the other', async () => {
    const calls: { path: string; role: Role; own: object; ids: IdPlace[] }[] = [];
    for (const [path, cases] of RECIPES) {
      for (const recipe of cases) {
        const [own, others] = await both(recipe);
        for (const role of tenantRolesFor(path)) calls.push({ path, role, own, ids: idsIn(own, others) });
      }
    }
    const step = fc.record({
      call: fc.constantFrom(...calls),
      which: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        for (const { call, which } of steps) {
          const ids = call.ids
            .map((one, index) => ({ ...one, which: which[index] ?? 0 }))
            .filter(({ which }) => which > 0)
            .map(({ which, ...one }) => (which === 1 ? one : { ...one, id: unknownIds()(one.id) }));
          const request = replaced(call.own, ids);
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

/** Fields of requests that are named like ids, in which no id is replaced, and why. */
const NOT_REPLACED: readonly [RegExp, string][] = [
  [/pageToken$/, 'page-tokens.test.ts does it'],
  [/\/Create\w+ (catalog\.catalogId|connector\.connectorId|namespace\.namespaceId)$/, 'the catalog gives ids'],
  [/\/CreateTable table\.(tableId|catalogId)$|(Create|Ensure)View view\.(viewId|catalogId)$/, 'the catalog gives ids'],
  [/\/Update\w+ (namespace|table|view)\.(catalogId|namespaceId)$/, 'no mask has them: nothing is moved by an update'],
  [/updateTable\.table\.(catalogId|namespaceId)$/, 'no mask has them: nothing is moved by an update'],
  [/reconciler\.v1\.\w+\/\w+ (table|view)\.upstream\.connectorId$/, 'only workers bind tables and views'],
  [/EnsureView view\.upstream\.connectorId$/, 'the connector of the request counts'],
  [/connector\.runningJobId$/, 'the catalog sets it'],
  [/ValidateConnector connector\.connectorId$/, 'a connector that is not stored has no id'],
  [/job\.(retryOfJobId|runId)$/, 'texts of the job: they are looked up within the tenant when they are used'],
  [/ClaimConnector job\.connectorId$/, 'the connector of the request counts'],
];

it('each id of each request is replaced by that of the other tenant', () => {
  const missing = TENANT_RPCS.flatMap((path) => idFieldsOf(path).map((field) => `${path} ${field}`))
    .filter((field) => !replacedFields.has(field))
    .filter((field) => !NOT_REPLACED.some(([listed]) => listed.test(field)));
  expect(missing).toEqual([]);
});
