import type { CaptureOverrides } from '../../contract/activities.ts';
import { missingPolicy } from '../../contract/missing-policy.ts';
import { addToChecksum, type NameChecksum } from '../../contract/name-checksum.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { resolveCaptureOptions } from '../options/capture-options.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { countBindings, type Objects } from './bindings.ts';

/** Whether the connector's runs mark what is gone. If a single table is selected, nothing is listed; its ingest fails if it is gone. */
function marksMissing(connector: Connector, overrides: CaptureOverrides): boolean {
  if (connector.source?.table || missingPolicy(connector).action === 'KEEP') return false;
  return resolveCaptureOptions(connector, overrides).mode !== 'CAPTURE_ONLY';
}

/**
 * Whether none of the connector's tables (or views) can be gone: the catalog has exactly what was listed, or it does not matter.
 *
 * @param listed the checksum of a complete listing; absent if there is none
 */
export async function isNothingGone(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  overrides: CaptureOverrides,
  what: Objects,
  listed: NameChecksum | undefined,
): Promise<boolean> {
  if (!marksMissing(connector, overrides)) return true;
  return listed !== undefined && listed === (await countBindings(deps, connector, what)).checksum;
}

/**
 * As `isNothingGone`, after the last page of a listing.
 *
 * @param input `listed` is absent if the run does not look for what is gone
 */
export async function isNothingGoneAfter(
  deps: Pick<ActivityDeps, 'catalog'>,
  connector: Connector,
  input: CaptureOverrides & { listed?: NameChecksum },
  what: Objects,
  page: { listed: NameChecksum },
): Promise<boolean> {
  if (input.listed === undefined) return false;
  return isNothingGone(deps, connector, input, what, addToChecksum(input.listed, page.listed));
}
