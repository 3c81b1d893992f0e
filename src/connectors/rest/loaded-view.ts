import { JsonFields } from '../../formats/json/json-fields.ts';
import { losslessJson } from '../../formats/json/lossless-json.ts';
import { MalformedError } from '../../formats/malformed.ts';
import type { ViewDescriptor } from '../spi.ts';
import { parsedAnswer } from './malformed-answer.ts';

/**
 * The current version of a view, from the answer to loadView (`LoadViewResult`; Iceberg's view spec).
 *
 * @throws CodedError `DATA_LOSS` that names the URL and the field
 */
export function loadedView(url: string, json: unknown): ViewDescriptor {
  return parsedAnswer(url, 'a view', 'DATA_LOSS', () => {
    const fields = new JsonFields(json);
    const metadata = fields.object('metadata');
    const uuid = metadata.string('view-uuid');
    const versionId = metadata.int32('current-version-id');
    const version = findById(metadata, 'versions', 'version-id', versionId);
    const schemaId = version.int32('schema-id');
    const schema = findById(metadata, 'schemas', 'schema-id', schemaId);
    const time = version.has('timestamp-ms') ? version.integer('timestamp-ms') : 0;
    return {
      uuid,
      versionId,
      schema: { id: schemaId, json: losslessJson(schema.raw) },
      // Version 1 of the spec knows SQL only.
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

function findById(fields: JsonFields, list: string, id: string, wanted: number): JsonFields {
  const found = fields.objects(list).find((item) => item.has(id) && item.int32(id) === wanted);
  if (found !== undefined) return found;
  throw new MalformedError(`metadata.${list} has none with the ${id} ${wanted}`);
}
