import { TableFormat, tableFormatToJSON } from '../../../generated/reconciler/v1/tables.ts';
import type { TableRow } from '../database/schema.ts';

const DELTA = tableFormatToJSON(TableFormat.TABLE_FORMAT_DELTA);

export function isDelta({ format }: Pick<TableRow, 'format'>): boolean {
  return format === DELTA;
}
