import type { TableFormat } from '../formats/table-reader.ts';
import type { ConnectorSpec } from './connector-spec.ts';
import { glueFormats } from './glue/glue-formats.ts';

/** Iceberg and Delta. */
const ALL_FORMATS = 2;

/**
 * The formats of the tables that a connector's properties select. Undefined if they exclude none. Those of a directory follow from the
 * connector's kind, which never changes, and those of Unity Catalog are all Delta.
 *
 * @throws CodedError `INVALID_ARGUMENT` for a wrong property
 */
export function selectedFormats(
  kind: ConnectorSpec['kind'],
  properties: Readonly<Record<string, string>>,
): readonly TableFormat[] | undefined {
  if (kind !== 'GLUE') return undefined;
  const formats = glueFormats(properties);
  return formats.size === ALL_FORMATS ? undefined : [...formats];
}
