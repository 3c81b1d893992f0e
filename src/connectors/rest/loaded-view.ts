import { JsonFields } from '../../formats/json/json-fields.ts';
import { losslessJson } from '../../formats/json/lossless-json.ts';
import { MalformedError } from '../../formats/malformed.ts';
import type { ViewDescriptor } from '../spi.ts';
import { parseResponse } from './parse-response.ts';

/**
 * Parses the current version of a view from the response to loadView (`LoadViewResult`; Iceberg's view spec).
 *
 * @throws CodedError `DATA_LOSS` that names the URL and the field
 */
export function loadedView(url: string, json: unknown): ViewDescriptor {
  return parseResponse(`GET ${url}`, 'a view', 'DATA_LOSS', () => {
    const fields = new JsonFields(json);
    const metadata = fields.object('metadata');
    const uuid = metadata.string('view-uuid');
    const versionId = metadata.int32('current-version-id');
    const version = findById(metadata, 'versions', 'version-id', versionId);
    const schemaId = version.int32('schema-id');
    const schema = findById(metadata, 'schemas', 'schema-id', schemaId);
    const time = version.has('timestamp-ms') ? version.long('timestamp-ms') : 0;
    return {
      uuid,
      versionId,
      schema: { id: schemaId, json: losslessJson(schema.raw) },
      // Version 1 of the spec has no other representation than SQL.
      representations: version
        .objects('representations')
        .filter((representation) => representation.string('type').toLowerCase() === 'sql')
        .map((representation) => ({ sql: representation.string('sql'), dialect: representation.string('dialect') })),
      ...(version.has('default-catalog') && { defaultCatalog: version.string('default-catalog') }),
      defaultNamespace: version.strings('default-namespace'),
      properties: { ...metadata.stringMap('properties') },
      fingerprint: fields.optionalString('metadata-location') ?? `uncommitted:${uuid}:${versionId}:${time}`,
    };
  });
}

function findById(fields: JsonFields, list: string, idField: string, id: number): JsonFields {
  const found = fields.objects(list).find((item) => item.has(idField) && item.int32(idField) === id);
  if (found !== undefined) return found;
  throw new MalformedError(`metadata.${list} has no entry with ${idField} ${id}`);
}
