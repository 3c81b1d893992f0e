import { CodedError } from '../../../errors.ts';
import type { ColumnIds, PhysicalPath } from './column-ids.ts';
import type { DeltaColumn } from './delta-column.ts';
import {
  columnText,
  type DeltaField,
  fieldsOf,
  icebergType,
  invalidColumn,
  isArray,
  isMap,
  isStruct,
  type StructType,
} from './delta-types.ts';

/** No real table nests deeper. The limit prevents a stack overflow. */
const MAX_DEPTH = 200;

/** What a column's metadata has that concerns its values, and is kept with it: generated, identity and default columns, and lengths of strings. */
const KEPT_METADATA = [
  'delta.generationExpression',
  'delta.identity.start',
  'delta.identity.step',
  'delta.identity.allowExplicitInsert',
  'CURRENT_DEFAULT',
  '__CHAR_VARCHAR_TYPE_STRING',
];

/** A field of a struct in Iceberg's JSON (spec, appendix C, "Schemas"), with keys that only tables of Delta have. */
interface JsonField {
  id: number;
  name: string;
  required: boolean;
  type: unknown;
  doc?: string;
  /** The name in data files, statistics and partition values. With the names of the structs around it, it identifies the column. */
  'physical-name': string;
  metadata?: Record<string, string>;
}

interface Place {
  path: PhysicalPath;
  /** Logical names, for messages. */
  names: readonly string[];
  /** `delta.columnMapping.nested.ids` of the column around it. */
  nestedIds: Readonly<Record<string, unknown>>;
}

/** Converts the columns of one schema. */
export class SchemaConverter {
  readonly #ids: ColumnIds;
  readonly #isMapped: boolean;

  /** @param isMapped whether columns have physical names of their own (Delta protocol, "Column Mapping") */
  constructor(ids: ColumnIds, isMapped: boolean) {
    this.#ids = ids;
    this.#isMapped = isMapped;
  }

  /** @throws CodedError `DATA_LOSS` that names the column */
  convert(schema: StructType): { fields: JsonField[]; columns: DeltaColumn[] } {
    return this.#fields(schema, { path: [], names: [], nestedIds: {} });
  }

  #fields(struct: StructType, around: Place): { fields: JsonField[]; columns: DeltaColumn[] } {
    if (around.names.length > MAX_DEPTH) throw invalidColumn(around.names, `at most ${MAX_DEPTH} levels`, 'more');
    const fields: JsonField[] = [];
    const columns: DeltaColumn[] = [];
    for (const field of fieldsOf(struct, around.names)) {
      const names = [...around.names, field.name];
      const { physicalName, id: wanted, nestedIds } = this.#mapping(field, names);
      const path = [...around.path, physicalName];
      const id = this.#ids.idOf(path, wanted);
      const { json, ...shape } = this.#type(field.type, { path, names, nestedIds }, physicalName);
      const comment = field.metadata.comment;
      const metadata = keptMetadata(field);
      fields.push({
        id,
        name: field.name,
        required: !field.nullable,
        type: json,
        ...(typeof comment === 'string' && comment !== '' && { doc: comment }),
        'physical-name': physicalName,
        ...(metadata && { metadata }),
      });
      columns.push({ id, physicalName, ...shape, wasFloat: wasFloat(field), isCollated: isCollated(field) });
    }
    return { fields, columns };
  }

  /** @param nestedName what `delta.columnMapping.nested.ids` calls the list or map: `col.element`, `col.element.key` */
  #type(
    type: unknown,
    place: Place,
    nestedName: string,
  ): { json: unknown; type?: string; fields?: readonly DeltaColumn[] } {
    if (typeof type === 'string') {
      const name = icebergType(type);
      return { json: name, type: name };
    }
    if (isStruct(type)) {
      const { fields, columns } = this.#fields(type, place);
      return { json: { type: 'struct', fields }, fields: columns };
    }
    const inner = (name: string, innerType: unknown) => {
      const path = [...place.path, name];
      const wanted = place.nestedIds[`${nestedName}.${name}`];
      const id = this.#ids.idOf(path, this.#isMapped && isId(wanted) ? wanted : undefined);
      const names = [...place.names, name];
      if (names.length > MAX_DEPTH) throw invalidColumn(names, `at most ${MAX_DEPTH} levels`, 'more');
      return { id, json: this.#type(innerType, { ...place, path, names }, `${nestedName}.${name}`).json };
    };
    if (isArray(type)) {
      const element = inner('element', type.elementType);
      const required = type.containsNull === false;
      return { json: { type: 'list', 'element-id': element.id, 'element-required': required, element: element.json } };
    }
    if (isMap(type)) {
      const [key, value] = [inner('key', type.keyType), inner('value', type.valueType)];
      const required = type.valueContainsNull === false;
      return {
        json: {
          type: 'map',
          'key-id': key.id,
          key: key.json,
          'value-id': value.id,
          'value-required': required,
          value: value.json,
        },
      };
    }
    // A type of a later protocol: the column has no statistics, but the table can be read.
    const name = (type as { type?: unknown } | null)?.type;
    if (typeof name !== 'string' || ['struct', 'array', 'map'].includes(name)) {
      throw invalidColumn(place.names, 'a type', type);
    }
    return { json: name, type: name };
  }

  #mapping({ name, metadata }: DeltaField, names: readonly string[]) {
    const nestedIds = metadata['delta.columnMapping.nested.ids'];
    const none = { physicalName: name, id: undefined, nestedIds: {} };
    if (!this.#isMapped) return none;
    const physicalName = metadata['delta.columnMapping.physicalName'];
    const id = metadata['delta.columnMapping.id'];
    if (typeof physicalName !== 'string') throw unmapped(names, 'physicalName', physicalName);
    if (!isId(id)) throw unmapped(names, 'id', id);
    return { physicalName, id, nestedIds: (nestedIds ?? {}) as Record<string, unknown> };
  }
}

const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) > 0 && (id as number) < 2 ** 31;

function unmapped(names: readonly string[], key: string, found: unknown): CodedError {
  const text = (JSON.stringify(found) ?? 'nothing').slice(0, 100);
  return new CodedError(
    'DATA_LOSS',
    `the table's schema: ${columnText(names)} should have delta.columnMapping.${key}, because the table uses column mapping, but has ${text}`,
  );
}

function keptMetadata({ metadata }: DeltaField): Record<string, string> | undefined {
  const kept = KEPT_METADATA.filter((key) => Object.hasOwn(metadata, key));
  return kept.length === 0 ? undefined : Object.fromEntries(kept.map((key) => [key, String(metadata[key])]));
}

/** Whether its type was widened from float (Delta protocol, "Type Widening"). Changes with a `fieldPath` are those of a list or map in it. */
function wasFloat({ metadata }: DeltaField): boolean {
  const changes = metadata['delta.typeChanges'];
  return Array.isArray(changes) && changes.some((change) => change?.fromType === 'float' && !change.fieldPath);
}

/** Whether it has a collation: in its metadata, or in the name of its type. */
function isCollated({ type, metadata }: DeltaField): boolean {
  return Object.hasOwn(metadata, '__COLLATIONS') || (typeof type === 'string' && /^string collate /.test(type));
}
