import { z } from 'zod';
import { CreateTableRequest, type TablesServiceImplementation } from '../../generated/reconciler/v1/tables.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, required } from '../rpc/violations.ts';
import { checkEtag, notFound } from '../store/database/errors.ts';
import { createOnce } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import { countUnreadable } from '../store/snapshots/snapshots.ts';
import { findSchema, putSchema } from '../store/tables/table-schemas.ts';
import * as store from '../store/tables/tables.ts';
import { checkSchema, checkTable, TABLE_FIELDS } from '../validation/table-checks.ts';
import { applyTableUpdate, checkedTableUpdate } from './table-update.ts';

const tokens = new PageTokens('ListTables', z.object({ name: z.string() }));

/** The service Tables. */
export function createTablesService({ db, purge, limits }: ServiceDeps): TablesServiceImplementation {
  return {
    async createTable(request) {
      const table = required(request.table, 'table');
      const checks = new Checks();
      checks.id(table.namespaceId, 'table.namespace_id');
      checks.name(table.name, 'table.name');
      checks.that(
        table.currentSnapshotId === undefined,
        'table.current_snapshot_id',
        'must be absent: a new table has no snapshots',
      );
      checks.that(table.upstream === undefined, 'table.upstream', 'is set by workers only');
      checkTable(checks, table, TABLE_FIELDS);
      const encoded = CreateTableRequest.encode(request).finish();
      const once = { scope: 'CreateTable', key: request.idempotencyKey, request: encoded };
      const excess = await limits.excess('tables');
      return createOnce(db, once, {
        create(trx) {
          if (excess) throw excess;
          return store.insertTable(trx, table);
        },
        get: store.getTable,
        idOf: (created) => created.tableId,
      });
    },

    async getTable(request) {
      checkIds({ table_id: request.tableId });
      const table = await store.getTable(db, request.tableId);
      const { table_num } = await store.getTableRow(db, request.tableId);
      return { ...table, unreadableSnapshots: await countUnreadable(db, table_num) };
    },

    async listTables(request) {
      checkIds({ namespace_id: request.namespaceId });
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, request.namespaceId);
      await getNamespace(db, request.namespaceId);
      const { tables, more } = await store.listTables(db, request.namespaceId, size, after?.name);
      const last = more ? tables.at(-1) : undefined;
      return { tables, nextPageToken: last ? tokens.encode({ name: last.name }, request.namespaceId) : '' };
    },

    async updateTable(request) {
      const update = checkedTableUpdate(request, TABLE_FIELDS);
      return write(db, async (trx) => {
        await applyTableUpdate(trx, update);
        return store.getTable(trx, update.table.tableId);
      });
    },

    async deleteTable(request) {
      checkIds({ table_id: request.tableId });
      await write(db, async (trx) => {
        const stored = await store.getTableRow(trx, request.tableId);
        checkEtag('table', stored.table_id, request.etag, stored.etag);
        await store.deleteTable(trx, stored.table_id, stored.table_num);
      });
      purge();
      return {};
    },

    async getTableSchema(request) {
      checkIds({ table_id: request.tableId });
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
      return write(db, async (trx) => {
        const table = await store.getTableRowToWrite(trx, request.tableId);
        await putSchema(trx, table.table_num, schema);
        const stored = await findSchema(trx, table.table_num, schema.schemaId);
        return required(stored, 'schema');
      });
    },
  };
}
