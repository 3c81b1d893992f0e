import { z } from 'zod';
import { CodedError } from '../errors.ts';
import {
  CreateTableRequest,
  PartitionSpec,
  SnapshotRef,
  type Table,
  type TablesServiceImplementation,
} from '../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from './deps.ts';
import { maskPaths } from './rpc/field-mask.ts';
import { PageTokens, page, pageSize } from './rpc/page-token.ts';
import { Checks, required } from './rpc/violations.ts';
import { checkEtag, notFound } from './store/errors.ts';
import { answeredBefore, rememberAnswer, requestHash } from './store/idempotency.ts';
import { ms } from './store/json.ts';
import { getNamespace } from './store/namespaces.ts';
import { isComplete } from './store/snapshots.ts';
import { findSchema, putSchema } from './store/table-schemas.ts';
import * as store from './store/tables.ts';
import { checkBinding, checkSchema, checkTable, TABLE_MASK } from './table-checks.ts';

const tokens = new PageTokens('ListTables', z.object({ name: z.string() }));

/** The service Tables. */
export function createTablesService({ db, purge }: ServiceDeps): TablesServiceImplementation {
  return {
    async createTable(request) {
      const table = required(request.table, 'table');
      const checks = new Checks();
      checks.id(table.namespaceId, 'table.namespace_id');
      checks.name(table.name, 'table.name');
      checks.that(
        table.currentSnapshotId === undefined,
        'table.current_snapshot_id',
        'a new table has no snapshot yet',
      );
      checkTable(checks, table, TABLE_MASK);
      const hash = requestHash(CreateTableRequest.encode(request).finish());
      return db.transaction().execute(async (trx) => {
        const first = await answeredBefore(trx, 'CreateTable', request.idempotencyKey, hash);
        if (first !== undefined) return store.getTable(trx, first);
        await checkBinding(trx, 'tables', table.upstream, undefined);
        const made = await store.insertTable(trx, table);
        await rememberAnswer(trx, 'CreateTable', request.idempotencyKey, hash, made.tableId);
        return made;
      });
    },

    async getTable(request) {
      checkId(request.tableId);
      return store.getTable(db, request.tableId);
    },

    async listTables(request) {
      const checks = new Checks();
      checks.id(request.namespaceId, 'namespace_id');
      checks.done();
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, request.namespaceId);
      await getNamespace(db, request.namespaceId);
      const { items, last } = page(await store.listTables(db, request.namespaceId, size + 1, after?.name), size);
      return { tables: items, nextPageToken: last ? tokens.encode({ name: last.name }, request.namespaceId) : '' };
    },

    async updateTable(request) {
      const table = required(request.table, 'table');
      const paths = maskPaths(request.updateMask, TABLE_MASK);
      const checks = new Checks();
      checks.id(table.tableId, 'table.table_id');
      checkTable(checks, table, paths);
      return db.transaction().execute(async (trx) => {
        const stored = await store.getTableRow(trx, table.tableId);
        checkEtag('table', table.tableId, table.etag, stored.etag);
        if (paths.includes('upstream')) await checkBinding(trx, 'tables', table.upstream, stored.table_id);
        if (paths.includes('current_snapshot_id') && table.currentSnapshotId !== undefined) {
          await refuseUnreadable(trx, stored.table_num, table.tableId, table.currentSnapshotId);
        }
        if (paths.includes('schema') && table.schema) await putSchema(trx, stored.table_num, table.schema);
        await store.updateTableRow(trx, table.tableId, changes(table, paths));
        return store.getTable(trx, table.tableId);
      });
    },

    async deleteTable(request) {
      checkId(request.tableId);
      await db.transaction().execute(async (trx) => {
        const stored = await store.getTableRow(trx, request.tableId);
        checkEtag('table', stored.table_id, request.etag, stored.etag);
        await store.deleteTable(trx, stored.table_id, stored.table_num);
      });
      purge();
      return {};
    },

    async getTableSchema(request) {
      checkId(request.tableId);
      const table = await store.getTableRow(db, request.tableId);
      const schema = await findSchema(db, table.table_num, request.schemaId);
      if (!schema) throw notFound('schema', `${request.schemaId} of table ${request.tableId}`);
      return schema;
    },

    async putTableSchema(request) {
      const schema = required(request.schema, 'schema');
      const checks = new Checks();
      checks.id(request.tableId, 'table_id');
      checkSchema(checks, schema, 'schema');
      checks.done();
      return db.transaction().execute(async (trx) => {
        const table = await store.getTableRow(trx, request.tableId);
        await putSchema(trx, table.table_num, schema);
        const stored = await findSchema(trx, table.table_num, schema.schemaId);
        return required(stored, 'schema');
      });
    },
  };
}

function checkId(id: string): void {
  const checks = new Checks();
  checks.id(id, 'table_id');
  checks.done();
}

async function refuseUnreadable(db: ServiceDeps['db'], tableNum: number, tableId: string, snapshotId: bigint) {
  if (await isComplete(db, tableNum, snapshotId)) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${snapshotId} of table ${tableId} is not complete, so that it cannot be the current one: send its files first`,
  );
}

/** The columns that a masked update changes. */
function changes(table: Table, paths: readonly (typeof TABLE_MASK)[number][]) {
  const all = {
    description: { description: table.description },
    format_version: { format_version: table.formatVersion },
    location: { location: table.location },
    metadata_location: { metadata_location: table.metadataLocation },
    properties: { properties: JSON.stringify(table.properties) },
    schema: { schema_id: table.schema?.schemaId ?? null },
    partition_specs: { partition_specs: JSON.stringify(table.partitionSpecs.map(PartitionSpec.toJSON)) },
    default_spec_id: { default_spec_id: table.defaultSpecId },
    current_snapshot_id: { current_snapshot_id: table.currentSnapshotId?.toString() ?? null },
    refs: { refs: JSON.stringify(table.refs.map(SnapshotRef.toJSON)) },
    upstream: store.upstreamColumns(table.upstream),
    'upstream.fingerprint': { fingerprint: table.upstream?.fingerprint ?? '' },
    'upstream.fetched_at': { fetched_at: ms(table.upstream?.fetchedAt) },
    'upstream.missing_since': { missing_since: ms(table.upstream?.missingSince) },
  };
  return Object.assign({}, ...paths.map((path) => all[path]));
}
