import type { Page } from '../../connectors/spi.ts';
import type { PagePlace } from '../../contract/activities.ts';
import type { NamespacePath } from '../../contract/upstream-names.ts';
import { CodedError } from '../../errors.ts';
import { formatName } from '../../names.ts';
import { truncate } from '../../text.ts';
import { followPages } from './page-cycle.ts';

/** An error message shows this many characters of a namespace. */
const MAX_NAME_LENGTH = 300;

/**
 * Where a listing continues; undefined after its last page.
 *
 * @throws CodedError DATA_LOSS if the upstream's pages repeat endlessly
 */
export function nextPlace(
  place: PagePlace,
  page: Page<unknown>,
  what: string,
  path: NamespacePath,
): PagePlace | undefined {
  const token = page.nextToken;
  if (token === undefined) return undefined;
  const cycle = followPages(place.cycle, token);
  if (cycle && token !== place.token) return { token, cycle };
  const where = path.length > 0 ? `namespace ${shortName(path)}` : 'the root namespace';
  throw new CodedError(
    'DATA_LOSS',
    `The upstream repeats its pages when it lists the ${what} of ${where}: it returned a page token for the second time, so that the list would never end. Nothing more can be read there until that is fixed upstream.`,
  );
}

/** For messages. */
export const shortName = (path: NamespacePath) => truncate(formatName(path), MAX_NAME_LENGTH);
