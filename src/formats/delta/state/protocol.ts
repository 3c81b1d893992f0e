import { CodedError } from '../../../errors.ts';
import type { ProtocolAction } from '../actions.ts';

/**
 * Reader features that do not change how the metadata of a table is read, or that this reader understands (Delta protocol, "Valid Feature Names
 * in Table Features"). Names with `-preview` have the same metadata.
 */
const READABLE: ReadonlySet<string> = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'v2Checkpoint',
  'typeWidening',
  'typeWidening-preview',
  'variantType',
  'variantType-preview',
  'variantShredding',
  'variantShredding-preview',
  'vacuumProtocolCheck',
]);
/** The versions of such a table come from its catalog. */
const CATALOG_MANAGED: ReadonlySet<string> = new Set(['catalogManaged', 'catalogOwned-preview']);

/**
 * Refuses a table that cannot be read correctly. Features of writers never matter.
 *
 * @param table as its user names it
 * @param hasCatalog the catalog named the table's commits
 * @throws CodedError `UNIMPLEMENTED` that names the feature and the table
 */
export function checkProtocol(
  { minReaderVersion, readerFeatures = [] }: ProtocolAction,
  table: string,
  hasCatalog: boolean,
): void {
  if (minReaderVersion > 3) {
    throw new CodedError(
      'UNIMPLEMENTED',
      `table ${table} needs a reader of Delta's protocol version ${minReaderVersion}; versions up to 3 are supported`,
    );
  }
  if (minReaderVersion < 3) return;
  for (const feature of readerFeatures) {
    if (READABLE.has(feature)) continue;
    if (!CATALOG_MANAGED.has(feature)) {
      throw new CodedError(
        'UNIMPLEMENTED',
        `table ${table} needs the reader feature ${JSON.stringify(feature.slice(0, 100))}, which is not supported`,
      );
    }
    if (!hasCatalog) {
      throw new CodedError(
        'UNIMPLEMENTED',
        `table ${table} is managed by its catalog (${feature}), and its folder does not show its newest version: read it through its catalog, with a connector of kind unity`,
      );
    }
  }
}

/** What a table's protocol adds to its properties: `delta.minReaderVersion`, `delta.feature.deletionVectors=supported`. */
export function protocolProperties(protocol: ProtocolAction): Record<string, string> {
  const { minReaderVersion, minWriterVersion, readerFeatures = [], writerFeatures = [] } = protocol;
  const properties: Record<string, string> = {
    'delta.minReaderVersion': String(minReaderVersion),
    'delta.minWriterVersion': String(minWriterVersion),
  };
  for (const feature of [...readerFeatures, ...writerFeatures]) properties[`delta.feature.${feature}`] = 'supported';
  return properties;
}

/** Whether tables with this protocol may have deletion vectors. */
export function mayHaveVectors({ minReaderVersion, readerFeatures }: ProtocolAction): boolean {
  return minReaderVersion >= 3 && (readerFeatures?.includes('deletionVectors') ?? false);
}
