import type { TableCursor, TableSplit } from '../../contract/activities.ts';
import type { TableRef } from '../../contract/upstream-names.ts';
import { formatName } from '../../names.ts';

/** A changed table that is run by itself, as far as it is. */
export interface QueuedTable {
  table: TableRef;
  /** Where its next slice continues. */
  cursor?: TableCursor;
  /** An earlier slice changed it. */
  changed?: true;
  /** These groups of a big snapshot come first. */
  split?: TableSplit;
  /** A group of a big snapshot cannot be read: the table is ingested without groups. */
  isLost?: true;
  /** How often each of its snapshots was split: more than once only if the table changed in the meantime. */
  splits?: Record<string, number>;
}

export const tableLabel = ({ namespace, name }: TableRef) => formatName([...namespace, name]);
