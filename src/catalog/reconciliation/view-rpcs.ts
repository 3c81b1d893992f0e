import { z } from 'zod';
import type { ReconciliationServiceImplementation } from '../../generated/reconciler/v1/reconciliation.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks, required } from '../rpc/violations.ts';
import { listBound, lookupBound } from '../store/bindings/bound-names.ts';
import { markViewsMissing, putUpstreamView } from '../store/bindings/bound-views.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { transaction } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import { checkView } from '../validation/view-checks.ts';
import { ago } from './drop-rpcs.ts';

const tokens = new PageTokens('ListBoundViews', z.object({ pathKey: z.string(), name: z.string() }));
const MAX_ITEMS = 1000;
/** What a view takes from the upstream. */
const FIELDS = ['schema', 'representations', 'default_catalog', 'default_namespace', 'properties'] as const;

type ViewCalls = Pick<
  ReconciliationServiceImplementation,
  'lookupUpstreamViews' | 'putUpstreamView' | 'listBoundViews' | 'markViewsMissing'
>;

/** The calls of the service Reconciliation that are about views. */
export function createUpstreamViewRpcs({ db, purge }: ServiceDeps): ViewCalls {
  return {
    async lookupUpstreamViews({ connectorId, views }) {
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.that(views.length <= MAX_ITEMS, 'views', `has ${views.length} entries, at most ${MAX_ITEMS} are allowed`);
      checks.done();
      await getConnector(db, connectorId);
      const known = await lookupBound(db, 'views', connectorId, views);
      return { views: known.map(({ id, ...view }) => ({ viewId: id, ...view })) };
    },

    async putUpstreamView(request) {
      const upstream = required(request.upstream, 'upstream');
      const view = required(request.view, 'view');
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.path(upstream.namespacePath, 'upstream.namespace_path', { min: 0 });
      checks.name(upstream.name, 'upstream.name');
      checks.text(request.uuid, 'uuid', { max: 1024 });
      checks.text(request.fingerprint, 'fingerprint', { max: 16 * 1024 });
      checks.id(view.namespaceId, 'view.namespace_id');
      checks.name(view.name, 'view.name');
      checkView(checks, view, FIELDS);
      const { emptied, ...put } = await transaction(db, request.validateOnly, async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const namespace = await getNamespace(trx, view.namespaceId);
        return putUpstreamView(trx, request, view, upstream, connector, namespace);
      });
      if (emptied && !request.validateOnly) purge();
      return put;
    },

    async listBoundViews(request) {
      const checks = new Checks();
      checks.id(request.connectorId, 'connector_id');
      checks.done();
      const size = pageSize(request.pageSize);
      const { connectorId, namespacePath, missingForSeconds: missingFor } = request;
      const filter = [connectorId, namespacePath, String(missingFor)];
      const after = tokens.decode(request.pageToken, filter);
      await getConnector(db, connectorId);
      const rows = await listBound(db, 'views', connectorId, namespacePath, size + 1, after, ago(missingFor));
      const { items, last } = page(rows, size);
      const cursor = last && { pathKey: last.pathKey, name: last.upstream.name };
      return {
        views: items.map(({ id, upstream }) => ({ viewId: id, upstream })),
        nextPageToken: cursor ? tokens.encode(cursor, filter) : '',
      };
    },

    async markViewsMissing({ connectorId, viewIds }) {
      const checks = new Checks();
      checks.id(connectorId, 'connector_id');
      checks.that(
        viewIds.length <= MAX_ITEMS,
        'view_ids',
        `has ${viewIds.length} entries, at most ${MAX_ITEMS} are allowed`,
      );
      checks.done();
      const marked = await db.transaction().execute(async (trx) => {
        await getConnector(trx, connectorId);
        return markViewsMissing(trx, connectorId, viewIds);
      });
      return { marked: BigInt(marked) };
    },
  };
}
