import { z } from 'zod';
import { CreateViewRequest, type View, type ViewsServiceImplementation } from '../../generated/reconciler/v1/views.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, required } from '../rpc/violations.ts';
import { checkEtag } from '../store/database/errors.ts';
import { createOnce } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import { getNamespace } from '../store/namespaces/namespaces.ts';
import * as store from '../store/tables/views.ts';
import { checkView, VIEW_MASK, type ViewField } from '../validation/view-checks.ts';

const tokens = new PageTokens('ListViews', z.object({ name: z.string() }));

/** The service Views. */
export function createViewsService({ db }: ServiceDeps): ViewsServiceImplementation {
  return {
    async createView(request) {
      const view = required(request.view, 'view');
      const checks = new Checks();
      checks.id(view.namespaceId, 'view.namespace_id');
      checks.name(view.name, 'view.name');
      checks.that(view.upstream === undefined, 'view.upstream', 'is set by workers only');
      checkView(checks, view, VIEW_MASK);
      const encoded = CreateViewRequest.encode(request).finish();
      const once = { scope: 'CreateView', key: request.idempotencyKey, request: encoded };
      return createOnce(db, once, {
        create: (trx) => store.insertView(trx, view),
        get: store.getView,
        idOf: (created) => created.viewId,
      });
    },

    async getView(request) {
      checkIds({ view_id: request.viewId });
      return store.getView(db, request.viewId);
    },

    async listViews(request) {
      checkIds({ namespace_id: request.namespaceId });
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, request.namespaceId);
      await getNamespace(db, request.namespaceId);
      const { items: views, last } = await store.listViews(db, request.namespaceId, size, after?.name);
      return { views, nextPageToken: last ? tokens.encode({ name: last.name }, request.namespaceId) : '' };
    },

    async updateView(request) {
      const view = required(request.view, 'view');
      const paths = maskPaths(request.updateMask, VIEW_MASK);
      const checks = new Checks();
      checks.id(view.viewId, 'view.view_id');
      checkView(checks, view, paths);
      return write(db, async (trx) => {
        const stored = await store.getView(trx, view.viewId);
        checkEtag('view', view.viewId, view.etag, stored.etag);
        return store.updateView(trx, applyMask(stored, view, paths));
      });
    },

    async deleteView(request) {
      checkIds({ view_id: request.viewId });
      await write(db, async (trx) => {
        const stored = await store.getView(trx, request.viewId);
        checkEtag('view', request.viewId, request.etag, stored.etag);
        await store.deleteView(trx, request.viewId);
      });
      return {};
    },
  };
}

/** The stored view with the fields of the update that the mask names. */
function applyMask(stored: View, update: View, paths: readonly ViewField[]): View {
  const all: Record<ViewField, Partial<View>> = {
    description: { description: update.description },
    version_id: { versionId: update.versionId },
    schema: { schema: update.schema },
    representations: { representations: update.representations },
    default_catalog: { defaultCatalog: update.defaultCatalog },
    default_namespace: { defaultNamespace: update.defaultNamespace },
    properties: { properties: update.properties },
  };
  return Object.assign({ ...stored }, ...paths.map((path) => all[path]));
}
