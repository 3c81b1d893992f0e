import { protocolProperties } from './protocol.ts';
import type { TableState } from './table-states.ts';

/** In characters. Writers may keep anything in their own metadata domains. */
const MAX_DOMAIN = 4_000;

/**
 * A table's properties: its configuration, its description (`comment`), its protocol, and its metadata domains by their names, such as
 * `delta.clustering` and `delta.rowTracking`, with their JSON. What the configuration contains takes precedence.
 */
export function tableProperties({ metadata, protocol, domains }: TableState): Record<string, string> {
  const { description, configuration } = metadata;
  const short = [...domains].filter(([, text]) => text.length <= MAX_DOMAIN);
  return {
    ...Object.fromEntries(short),
    ...(description && { comment: description }),
    ...protocolProperties(protocol),
    ...configuration,
  };
}
