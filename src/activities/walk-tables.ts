import type { Connector, NamespacePath, TableEntry } from '../connectors/spi.ts';

/** Where a walk over the upstream's namespaces stands. As deep as namespaces nest, and so bounded. */
export interface WalkCursor {
  /** The namespace whose tables come next. */
  namespace?: { path: NamespacePath; token?: string };
  /** Namespaces whose children are being visited, outermost first; `next` counts within the page of `token`. */
  parents: { path: NamespacePath; token?: string; next: number }[];
}

/** Namespaces asked for at once. */
const NAMESPACE_PAGE = 500;

/** A walk over `root` and all below it. */
export function walkFrom(root: NamespacePath): WalkCursor {
  return { namespace: { path: root }, parents: [] };
}

/**
 * Tables of the upstream, depth first, from the cursor on: a namespace's own tables before those of its children. Ends
 * when `limit` tables were given or the walk is complete; `cursor` then says where to go on.
 */
export async function walkTables(
  connector: Connector,
  start: WalkCursor,
  limit: number,
  onProgress: () => void,
): Promise<{ tables: TableEntry[]; cursor?: WalkCursor }> {
  const cursor: WalkCursor = structuredClone(start);
  const tables: TableEntry[] = [];
  let children: { key: string; items: NamespacePath[]; nextToken?: string } | undefined;

  for (;;) {
    if (cursor.namespace) {
      if (tables.length >= limit) return { tables, cursor };
      const { path, token } = cursor.namespace;
      const page = await connector.listTables(path, { size: limit - tables.length, token });
      onProgress();
      for (const entry of page.items) tables.push(entry);
      if (page.nextToken !== undefined) {
        cursor.namespace.token = page.nextToken;
      } else {
        cursor.namespace = undefined;
        cursor.parents.push({ path, next: 0 });
      }
      continue;
    }
    const parent = cursor.parents.at(-1);
    if (!parent) return { tables };
    const key = JSON.stringify([parent.path, parent.token]);
    if (children?.key !== key) {
      const page = await connector.listNamespaces(parent.path, { size: NAMESPACE_PAGE, token: parent.token });
      onProgress();
      children = { key, ...page };
    }
    const child = children.items[parent.next];
    if (child) {
      parent.next += 1;
      cursor.namespace = { path: child };
    } else if (children.nextToken !== undefined) {
      parent.token = children.nextToken;
      parent.next = 0;
    } else {
      cursor.parents.pop();
    }
  }
}
