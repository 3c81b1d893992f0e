import { z } from 'zod';
import {
  Catalog,
  type CatalogsServiceImplementation,
  CreateCatalogRequest,
} from '../../generated/reconciler/v1/catalogs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { maskPaths } from '../rpc/field-mask.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, required } from '../rpc/violations.ts';
import { checkEtag } from '../store/database/errors.ts';
import { createOnce } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import * as store from '../store/namespaces/catalogs.ts';

const MASK = ['display_name', 'description', 'properties'] as const;
const tokens = new PageTokens('ListCatalogs', z.object({ name: z.string() }));

/** The service Catalogs. */
export function createCatalogsService({ db }: ServiceDeps): CatalogsServiceImplementation {
  return {
    async createCatalog(request) {
      const catalog = required(request.catalog, 'catalog');
      checkCatalog(catalog, MASK);
      const encoded = CreateCatalogRequest.encode(request).finish();
      const once = { scope: 'CreateCatalog', key: request.idempotencyKey, request: encoded };
      return createOnce(db, once, {
        create: (trx) => store.insertCatalog(trx, catalog),
        get: store.getCatalog,
        idOf: (created) => created.catalogId,
      });
    },

    async getCatalog(request) {
      checkIds({ catalog_id: request.catalogId });
      return store.getCatalog(db, request.catalogId);
    },

    async listCatalogs(request) {
      const size = pageSize(request.pageSize);
      const after = tokens.decode(request.pageToken, null);
      const { items, last } = await store.listCatalogs(db, size, after?.name);
      return { catalogs: items, nextPageToken: last ? tokens.encode({ name: last.displayName }, null) : '' };
    },

    async updateCatalog(request) {
      const catalog = required(request.catalog, 'catalog');
      const paths = maskPaths(request.updateMask, MASK);
      checkIds({ 'catalog.catalog_id': catalog.catalogId });
      checkCatalog(catalog, paths);
      return write(db, async (trx) => {
        const stored = await store.getCatalog(trx, catalog.catalogId);
        checkEtag('catalog', stored.catalogId, catalog.etag, stored.etag);
        const changed = { ...stored };
        if (paths.includes('display_name')) changed.displayName = catalog.displayName;
        if (paths.includes('description')) changed.description = catalog.description;
        if (paths.includes('properties')) changed.properties = catalog.properties;
        return store.updateCatalog(trx, changed);
      });
    },

    async deleteCatalog(request) {
      checkIds({ catalog_id: request.catalogId });
      await write(db, async (trx) => {
        const stored = await store.getCatalog(trx, request.catalogId);
        checkEtag('catalog', stored.catalogId, request.etag, stored.etag);
        await store.deleteCatalog(trx, stored);
      });
      return {};
    },
  };
}

/** The longest display name of a catalog, in characters. */
export const MAX_CATALOG_NAME = 255;

function checkCatalog(catalog: Catalog, fields: readonly (typeof MASK)[number][]): void {
  const checks = new Checks();
  if (fields.includes('display_name')) checks.name(catalog.displayName, 'catalog.display_name', MAX_CATALOG_NAME);
  if (fields.includes('description')) checks.text(catalog.description, 'catalog.description');
  if (fields.includes('properties')) checks.map(catalog.properties, 'catalog.properties');
  checks.size(Catalog.encode(catalog).finish(), 'catalog');
  checks.done();
}
