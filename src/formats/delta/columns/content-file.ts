import { CodedError } from '../../../errors.ts';
import type { ContentFile } from '../../table-reader.ts';
import type { AddAction } from '../actions.ts';
import type { DeltaSchema } from './delta-schema.ts';

/**
 * Converts an add to its data file, with statistics.
 *
 * @param path decoded absolute path
 * @param columnIds restricts the column metrics
 */
export function dataFile(
  add: AddAction,
  path: string,
  schema: DeltaSchema,
  columnIds?: ReadonlySet<number>,
): ContentFile {
  throw new CodedError('UNIMPLEMENTED', `${path} ${add.size} ${schema.id} ${columnIds?.size}`);
}

/**
 * The deletion vector of an add that has one, as a delete file of its own.
 *
 * @param dataPath decoded absolute path of the data file
 * @param vectorPath decoded absolute path of the vector's file; absent for an inline vector
 */
export function vectorFile(add: AddAction, dataPath: string, schema: DeltaSchema, vectorPath?: string): ContentFile {
  throw new CodedError('UNIMPLEMENTED', `${add.path} ${dataPath} ${schema.id} ${vectorPath}`);
}
