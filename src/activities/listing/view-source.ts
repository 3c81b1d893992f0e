import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { CaptureOverrides } from '../../contract/activities.ts';
import type { ReconcileScope } from '../../contract/job.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';

/** An upstream that has views. */
export type ViewSource = UpstreamCatalog & Required<Pick<UpstreamCatalog, 'listViews' | 'describeView'>>;

export function hasViews(source: UpstreamCatalog): source is ViewSource {
  return source.listViews !== undefined && source.describeView !== undefined;
}

/**
 * Whether a run brings in views. Whoever names a table, in the connector's source or in the run's scope, means that table alone; and views
 * have no files to capture.
 */
export function takesViews(
  source: UpstreamCatalog,
  connector: Connector,
  run: CaptureOverrides & { scope?: ReconcileScope },
): source is ViewSource {
  if (resolveCaptureOptions(connector, run).mode === 'CAPTURE_ONLY') return false;
  return hasViews(source) && !connector.source?.table && !run.scope?.table;
}
