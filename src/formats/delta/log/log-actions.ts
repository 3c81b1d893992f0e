import { truncate } from '../../../text.ts';
import { MalformedError } from '../../malformed.ts';
import type { AddAction, DeletionVectorDescriptor, MetadataAction, ProtocolAction, RemoveAction } from '../actions.ts';

/** The newest action per domain counts (Delta protocol, "Domain Metadata"). */
export interface DomainAction {
  domain: string;
  configuration: string;
  removed: boolean;
}

/** A file with file actions of a V2 checkpoint. */
export interface SidecarAction {
  /** URI-encoded: a name in `_delta_log/_sidecars`, or an absolute path. */
  path: string;
  sizeInBytes: number;
}

type Fields = Readonly<Record<string, unknown>>;

/** The object of an action; undefined if it is null or absent. @throws MalformedError if it is something else */
export function fieldsOf(value: unknown, action: string): Fields | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Fields;
  throw new MalformedError(`the action ${action} is not an object`);
}

/** @throws MalformedError if a required field is absent or a field has another type */
export function addAction(fields: Fields): AddAction {
  const add: AddAction = {
    kind: 'add',
    path: text(fields, 'path', 'add'),
    partitionValues: partitionValues(fields.partitionValues),
    size: integer(fields, 'size', 'add'),
  };
  const stats = fields.stats;
  if (typeof stats === 'string' && stats !== '') add.stats = stats;
  const vector = fieldsOf(fields.deletionVector, 'add.deletionVector');
  if (vector) add.deletionVector = deletionVector(vector);
  const baseRowId = optionalInteger(fields, 'baseRowId', 'add');
  if (baseRowId !== undefined) add.baseRowId = baseRowId;
  const version = optionalInteger(fields, 'defaultRowCommitVersion', 'add');
  if (version !== undefined) add.defaultRowCommitVersion = version;
  return add;
}

/** @throws MalformedError as `addAction` */
export function removeAction(fields: Fields): RemoveAction {
  const remove: RemoveAction = { kind: 'remove', path: text(fields, 'path', 'remove') };
  const vector = fieldsOf(fields.deletionVector, 'remove.deletionVector');
  if (vector) remove.deletionVector = deletionVector(vector);
  return remove;
}

/** @throws MalformedError as `addAction` */
export function deletionVector(fields: Fields): DeletionVectorDescriptor {
  const storageType = text(fields, 'storageType', 'deletionVector');
  if (storageType !== 'u' && storageType !== 'p' && storageType !== 'i') {
    throw new MalformedError(`a deletion vector has the storage type ${excerpt(storageType)}`);
  }
  const offset = optionalInteger(fields, 'offset', 'deletionVector');
  return {
    storageType,
    pathOrInlineDv: text(fields, 'pathOrInlineDv', 'deletionVector'),
    ...(offset !== undefined && { offset }),
    sizeInBytes: integer(fields, 'sizeInBytes', 'deletionVector'),
    cardinality: integer(fields, 'cardinality', 'deletionVector'),
  };
}

/** @throws MalformedError as `addAction` */
export function metadataAction(fields: Fields): MetadataAction {
  const format = fieldsOf(fields.format, 'metaData.format');
  const name = optionalText(fields, 'name', 'metaData');
  const description = optionalText(fields, 'description', 'metaData');
  return {
    id: text(fields, 'id', 'metaData'),
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    // A table may have been created without columns.
    schemaString: optionalText(fields, 'schemaString', 'metaData') || '{"type":"struct","fields":[]}',
    partitionColumns: texts(fields, 'partitionColumns', 'metaData') ?? [],
    configuration: textMap(fields.configuration),
    provider: (format && optionalText(format, 'provider', 'metaData.format')) || 'parquet',
  };
}

/** @throws MalformedError as `addAction` */
export function protocolAction(fields: Fields): ProtocolAction {
  const readerFeatures = texts(fields, 'readerFeatures', 'protocol');
  const writerFeatures = texts(fields, 'writerFeatures', 'protocol');
  return {
    minReaderVersion: integer(fields, 'minReaderVersion', 'protocol'),
    minWriterVersion: integer(fields, 'minWriterVersion', 'protocol'),
    ...(readerFeatures && { readerFeatures }),
    ...(writerFeatures && { writerFeatures }),
  };
}

/** @throws MalformedError as `addAction` */
export function domainAction(fields: Fields): DomainAction {
  return {
    domain: text(fields, 'domain', 'domainMetadata'),
    configuration: optionalText(fields, 'configuration', 'domainMetadata') ?? '',
    removed: fields.removed === true,
  };
}

/** @throws MalformedError as `addAction` */
export function sidecarAction(fields: Fields): SidecarAction {
  return { path: text(fields, 'path', 'sidecar'), sizeInBytes: integer(fields, 'sizeInBytes', 'sidecar') };
}

/** @throws MalformedError as `addAction` */
export function partitionValues(value: unknown): Record<string, string | null> {
  const fields = fieldsOf(value, 'add.partitionValues');
  if (fields === undefined) return {};
  for (const key in fields) {
    const found = fields[key];
    if (typeof found !== 'string' && found !== null) throw unexpected('add.partitionValues', 'strings', found);
  }
  return fields as Record<string, string | null>;
}

function textMap(value: unknown): Record<string, string> {
  const map: Record<string, string> = Object.create(null);
  for (const [key, found] of Object.entries(fieldsOf(value, 'metaData.configuration') ?? {})) {
    if (typeof found === 'string') map[key] = found;
    // Null stands for an absent property; some writers write booleans and numbers.
    else if (found !== null && typeof found !== 'object') map[key] = String(found);
    else if (found !== null) throw unexpected(`metaData.configuration.${key}`, 'a string', found);
  }
  return map;
}

function text(fields: Fields, name: string, action: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw unexpected(`${action}.${name}`, 'a string', value);
}

function optionalText(fields: Fields, name: string, action: string): string | undefined {
  return fields[name] === undefined || fields[name] === null ? undefined : text(fields, name, action);
}

function texts(fields: Fields, name: string, action: string): string[] | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw unexpected(`${action}.${name}`, 'a list of strings', value);
}

/** An integer from 0 on. Those from 2^53 on are not exact after `JSON.parse`, and are refused. */
function integer(fields: Fields, name: string, action: string): number {
  const value = fields[name];
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) return value;
  throw unexpected(`${action}.${name}`, 'an integer from 0 on and below 2^53', value);
}

function optionalInteger(fields: Fields, name: string, action: string): number | undefined {
  return fields[name] === undefined || fields[name] === null ? undefined : integer(fields, name, action);
}

function unexpected(field: string, expected: string, found: unknown): MalformedError {
  return new MalformedError(`${field.slice(0, 200)} should be ${expected} but is ${excerpt(found)}`);
}

function excerpt(found: unknown): string {
  return found === undefined ? 'missing' : truncate(JSON.stringify(found), 100);
}
