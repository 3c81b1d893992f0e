import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What an engine reports for a column of a file: the text and bytes of its bounds. */
export interface TruthColumn {
  name?: string;
  type?: string;
  size?: number;
  values?: number;
  nulls?: number;
  nans?: number;
  lower?: string;
  lower_hex?: string;
  upper?: string;
  upper_hex?: string;
}

const folder = fileURLToPath(new URL('../fixtures/iceberg/truth/', import.meta.url));

/** Every bound that the engines decoded for the fixture tables. */
export function truthBounds(): { table: string; type: string; hex: string; text: string }[] {
  const bounds: { table: string; type: string; hex: string; text: string }[] = [];
  for (const name of readdirSync(folder)) {
    const truth = JSON.parse(readFileSync(folder + name, 'utf8'));
    for (const file of Object.values<{ columns: Record<string, TruthColumn> }>(truth.files ?? {})) {
      for (const { type, lower, lower_hex, upper, upper_hex } of Object.values(file.columns)) {
        if (!type) continue;
        if (lower !== undefined && lower_hex !== undefined)
          bounds.push({ table: name, type, hex: lower_hex, text: lower });
        if (upper !== undefined && upper_hex !== undefined)
          bounds.push({ table: name, type, hex: upper_hex, text: upper });
      }
    }
  }
  return bounds;
}
