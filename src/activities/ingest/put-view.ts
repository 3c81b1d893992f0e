import { isNameTaken, tableDroppedUpstream } from '../plan/name-conflict.ts';
import type { ViewIngest, ViewPlan, ViewResult } from '../plan/view-plan.ts';

/** Writes the view. With `validateOnly`, the catalog does the same in a transaction that it rolls back: only it can tell whether a name is free. */
export async function putView(
  { deps, connector, upstream }: ViewIngest,
  { view, before, request }: ViewPlan,
  validateOnly: boolean,
): Promise<ViewResult> {
  // A namespace that is still to be created has no names that could be taken.
  if (request.view.namespaceId === '') return { changed: true, made: before?.objectId === '', replacesTable: false };
  const put = async (replacesTable: boolean) => ({
    ...(await deps.catalog.bindings.ensureView({ ...request, validateOnly, replacesTable })),
    replacesTable,
  });
  try {
    return await put(false);
  } catch (error) {
    if (!isNameTaken(error) || !(await tableDroppedUpstream(deps, upstream, connector, view))) throw error;
    return put(true);
  }
}
