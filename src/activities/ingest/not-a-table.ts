import type { TableOutcome } from '../../contract/activities.ts';
import { missingPolicy } from '../../contract/missing-policy.ts';
import { CodedError } from '../../errors.ts';
import type { NotATableError } from '../../formats/not-a-table.ts';
import { goneChange } from '../dry-run/object-changes.ts';
import { lookUpBindings, openBindings } from '../missing/bindings.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';
import { tableText } from '../options/destination.ts';
import type { TableIngest } from '../plan/table-ingest.ts';

/**
 * Takes something that is listed like a table, and is none, such as a view in a folder. It is passed over. If the catalog has a table that was
 * there before, that table is gone: its metadata proves it, as no listing could.
 *
 * @throws CodedError FAILED_PRECONDITION if somebody asked for this one table
 */
export async function passOver(input: TableIngest, error: NotATableError): Promise<TableOutcome> {
  const { deps, connector, table, scope, changes } = input;
  if (connector.source?.table || scope?.table) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${tableText(table)} is not a table: ${error.message}. Views in folders are not ingested. Name a table.`,
      { cause: error },
    );
  }
  const nothing: TableOutcome = { changed: false, counts: {} };
  const { action, dropAfterSeconds } = missingPolicy(connector);
  if (action === 'KEEP' || resolveCaptureOptions(connector, input).mode === 'CAPTURE_ONLY') return nothing;
  const [binding] = await lookUpBindings(deps, connector, 'tables', [table]);
  if (!binding?.objectId || binding.missing) return nothing;
  if (!changes) {
    const marked = await openBindings(deps, connector, 'tables').mark([binding], true);
    return { changed: false, counts: { tablesMissing: marked } };
  }
  const isDropped = action === 'DROP' && dropAfterSeconds === 0;
  const reason = `it is a view now${isDropped ? ', and it is dropped immediately' : ''}`;
  const upstreamName = { namespacePath: [...table.namespace], name: table.name };
  await changes.record(goneChange(connector, 'tables', upstreamName, isDropped ? 'DROP' : 'MARK_MISSING', reason));
  return { changed: false, counts: { tablesMissing: 1, ...(isDropped && { tablesDropped: 1 }) } };
}
