import { z } from 'zod';
import {
  CreateNamespaceRequest,
  Namespace,
  type NamespacesServiceImplementation,
} from '../../generated/reconciler/v1/namespaces.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, required } from '../rpc/violations.ts';
import { checkEtag } from '../store/database/errors.ts';
import { createOnce } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import { getCatalog } from '../store/namespaces/catalogs.ts';
import * as store from '../store/namespaces/namespaces.ts';

const MASK = ['description', 'properties'] as const;
const tokens = new PageTokens('ListNamespaces', z.object({ path: z.array(z.string()) }));

/** The service Namespaces. */
export function createNamespacesService({ db }: ServiceDeps): NamespacesServiceImplementation {
  return {
    async createNamespace(request) {
      const namespace = required(request.namespace, 'namespace');
      const checks = new Checks();
      checks.id(namespace.catalogId, 'namespace.catalog_id');
      checks.path(namespace.path, 'namespace.path');
      checkFields(checks, namespace, MASK);
      const encoded = CreateNamespaceRequest.encode(request).finish();
      const once = { scope: 'CreateNamespace', key: request.idempotencyKey, request: encoded };
      return createOnce(db, once, {
        create: (trx) => store.insertNamespace(trx, namespace),
        get: store.getNamespace,
        idOf: (created) => created.namespaceId,
      });
    },

    async getNamespace(request) {
      checkIds({ namespace_id: request.namespaceId });
      return store.getNamespace(db, request.namespaceId);
    },

    async listNamespaces(request) {
      checkIds({ catalog_id: request.catalogId });
      const size = pageSize(request.pageSize);
      const filter = [request.catalogId, request.parentPath];
      const after = tokens.decode(request.pageToken, filter);
      await getCatalog(db, request.catalogId);
      const { catalogId, parentPath } = request;
      const { items, last } = await store.listNamespaces(db, catalogId, parentPath, size, after?.path);
      return { namespaces: items, nextPageToken: last ? tokens.encode({ path: last.path }, filter) : '' };
    },

    async updateNamespace(request) {
      const namespace = required(request.namespace, 'namespace');
      const paths = maskPaths(request.updateMask, MASK);
      const checks = new Checks();
      checks.id(namespace.namespaceId, 'namespace.namespace_id');
      checkFields(checks, namespace, paths);
      return write(db, async (trx) => {
        const stored = await store.getNamespace(trx, namespace.namespaceId);
        checkEtag('namespace', stored.namespaceId, namespace.etag, stored.etag);
        const changed = { ...stored };
        if (paths.includes('description')) changed.description = namespace.description;
        if (paths.includes('properties')) changed.properties = namespace.properties;
        return store.updateNamespace(trx, changed);
      });
    },

    async deleteNamespace(request) {
      checkIds({ namespace_id: request.namespaceId });
      await write(db, async (trx) => {
        const stored = await store.getNamespace(trx, request.namespaceId);
        checkEtag('namespace', stored.namespaceId, request.etag, stored.etag);
        await store.deleteNamespace(trx, stored);
      });
      return {};
    },
  };
}

function checkFields(checks: Checks, namespace: Namespace, fields: readonly (typeof MASK)[number][]): void {
  if (fields.includes('description')) checks.text(namespace.description, 'namespace.description');
  if (fields.includes('properties')) checks.map(namespace.properties, 'namespace.properties');
  checks.size(Namespace.encode(namespace).finish(), 'namespace');
  checks.done();
}
