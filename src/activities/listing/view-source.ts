import type { UpstreamCatalog } from '../../connectors/spi.ts';
import type { CaptureOverrides } from '../../contract/activities.ts';
import type { ReconcileScope } from '../../contract/job.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';

/** An upstream with views. */
export type ViewSource = UpstreamCatalog & Required<Pick<UpstreamCatalog, 'listViews' | 'describeView'>>;

export function hasViews(upstream: UpstreamCatalog): upstream is ViewSource {
  return upstream.listViews !== undefined && upstream.describeView !== undefined;
}

/**
 * Whether a run ingests views. A table named in the connector's source or in the run's scope means that table alone, and views have no files
 * to capture.
 */
export function takesViews(
  upstream: UpstreamCatalog,
  connector: Connector,
  run: CaptureOverrides & { scope?: ReconcileScope },
): upstream is ViewSource {
  if (resolveCaptureOptions(connector, run).mode === 'CAPTURE_ONLY') return false;
  return hasViews(upstream) && !connector.source?.table && !run.scope?.table;
}
