import { fromBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Type,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { readDescriptorSet } from '../../../src/catalog/server/descriptor-set.ts';

const { file: files } = fromBinary(FileDescriptorSetSchema, readDescriptorSet() as Uint8Array);
const messages = new Map(
  files.flatMap(({ package: name, messageType }) => messageType.flatMap((m) => named(`.${name}`, m))),
);

function named(prefix: string, message: DescriptorProto): [string, DescriptorProto][] {
  const name = `${prefix}.${message.name}`;
  return [[name, message], ...message.nestedType.flatMap((nested) => named(name, nested))];
}

/** Methods by path, such as `/reconciler.v1.Tables/GetTable`, with the names of their requests. */
const REQUESTS = new Map(
  files.flatMap(({ package: name, service }) =>
    service.flatMap((each) =>
      each.method.map(({ name: method, inputType }) => [`/${name}.${each.name}/${method}`, inputType]),
    ),
  ),
);

/**
 * The fields of an RPC's request that are texts and named like ids, or are page tokens, also those of messages within it: `table.tableId`. Ids
 * that are numbers, such as those of snapshots, schemas and columns, belong to the table that the request names.
 */
export function idFieldsOf(path: string): string[] {
  return fieldsOf(REQUESTS.get(path) as string, []);
}

function fieldsOf(type: string, within: readonly string[]): string[] {
  const { field: fields = [] } = messages.get(type) ?? {};
  return fields.flatMap((field) => {
    const at = [...within, field.jsonName];
    if (field.type === FieldDescriptorProto_Type.MESSAGE) return fieldsOf(field.typeName, at);
    return isId(field) ? [at.join('.')] : [];
  });
}

const isId = ({ type, name }: FieldDescriptorProto) =>
  type === FieldDescriptorProto_Type.STRING && /^(id|.*_ids?|page_token)$/.test(name);
