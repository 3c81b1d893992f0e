import { z } from 'zod';
import { durationSeconds } from '../../durations.ts';
import type { BindingsServiceImplementation } from '../../generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../generated/reconciler/v1/tables.ts';
import { ago } from '../core/ago.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, required } from '../rpc/violations.ts';
import { countBound, listBound, lookupBound } from '../store/bindings/bound-names.ts';
import { ensureTable, markTablesMissing } from '../store/bindings/bound-tables.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { transaction } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import { checkSchema } from '../validation/table-checks.ts';
import { createUpstreamViewRpcs } from './view-rpcs.ts';

const boundTokens = new PageTokens('ListBoundTables', z.object({ pathKey: z.string(), name: z.string() }));
const MAX_ITEMS = 1000;

/** The service Bindings: catalog objects that are bound to upstream names. */
export function createBindingsService(deps: ServiceDeps): BindingsServiceImplementation {
  const { db, purge } = deps;
  return {
    ...createUpstreamViewRpcs(deps),

    async lookupUpstreamTables(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.that(
        request.tables.length <= MAX_ITEMS,
        'tables',
        `has ${request.tables.length} entries, at most ${MAX_ITEMS} are allowed`,
      );
      checks.done();
      await getConnector(db, request.connectorId);
      const known = await lookupBound(db, 'tables', request.connectorId, request.tables);
      return { tables: known.map(({ id, number, ...table }) => ({ tableId: id, number: BigInt(number), ...table })) };
    },

    async ensureTable(request) {
      const upstream = required(request.upstream, 'upstream');
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.path(upstream.namespacePath, 'upstream.namespace_path', { min: 0 });
      checks.name(upstream.name, 'upstream.name');
      checks.text(request.uuid, 'uuid', { max: 1024 });
      checks.id(request.namespaceId, 'namespace_id');
      checks.name(request.name, 'name');
      checks.that(request.format !== TableFormat.TABLE_FORMAT_UNSPECIFIED, 'format', 'is required: ICEBERG or DELTA');
      checks.text(request.location, 'location', { max: 8192 });
      for (const [index, schema] of request.schemas.entries()) checkSchema(checks, schema, `schemas[${index}]`);
      checks.done();
      const ensured = await transaction(db, request.dryRun, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const namespace = await getNamespace(trx, request.namespaceId);
        return ensureTable(trx, request, upstream, connector, namespace);
      });
      if (ensured.emptied && !request.dryRun) purge();
      return ensured;
    },

    async listBoundTables(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.done();
      const size = pageSize(request.pageSize);
      const { connectorId, namespacePath, missingFor } = request;
      const filter = [connectorId, namespacePath, String(durationSeconds(missingFor))];
      const after = boundTokens.decode(request.pageToken, filter);
      await getConnector(db, connectorId);
      const rows = await listBound(db, 'tables', connectorId, namespacePath, size + 1, after, ago(missingFor));
      const { items, last } = page(rows, size);
      const cursor = last && { pathKey: last.pathKey, name: last.upstream.name };
      return {
        tables: items.map(({ id, upstream, number }) => ({ tableId: id, upstream, number: BigInt(number) })),
        nextPageToken: cursor ? boundTokens.encode(cursor, filter) : '',
      };
    },

    async countBoundTables({ connectorId, namespacePath }) {
      checkIds({ connector_id: connectorId });
      await getConnector(db, connectorId);
      const { count, numberSum } = await countBound(db, connectorId, namespacePath);
      return { count: BigInt(count), numberSum: BigInt(numberSum) };
    },

    async markTablesMissing(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      const count = request.tableIds.length;
      checks.that(count <= MAX_ITEMS, 'table_ids', `has ${count} entries, at most ${MAX_ITEMS} are allowed`);
      checks.done();
      const marked = await db.transaction().execute(async (trx) => {
        await getConnector(trx, request.connectorId);
        return markTablesMissing(trx, request.connectorId, request.tableIds);
      });
      return { marked: BigInt(marked) };
    },
  };
}
