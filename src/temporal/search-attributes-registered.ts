import { status } from '@grpc/grpc-js';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { CodedError } from '../errors.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

/** How long a cluster may take to list attributes after their registration; its services refresh the list from time to time. */
const VISIBLE_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

/** Clients whose namespace is known to have all attributes. */
const registered = new WeakSet<Client>();

/**
 * Whether the namespace has all search attributes; false if the caller may not list them. It is checked until it is true, because they may
 * be registered while a worker runs.
 */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  if (registered.has(client)) return true;
  try {
    const { missing, mistyped } = await attributeStatus(client);
    if (missing.length === 0 && mistyped.length === 0) registered.add(client);
  } catch {
    // The caller may not list them, so they are not used.
  }
  return registered.has(client);
}

/** The attributes that the namespace lacks, and those that have another type there (as `Name is Text`). */
async function attributeStatus(client: Client): Promise<{ missing: string[]; mistyped: string[] }> {
  const namespace = client.options.namespace;
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  const names = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
  const typeOf = (name: string) => customAttributes?.[name];
  return {
    missing: names.filter((name) => typeOf(name) === undefined),
    mistyped: names
      .filter((name) => typeOf(name) !== undefined && typeOf(name) !== KEYWORD)
      .map((name) => `${name} is ${typeName(typeOf(name)!)}`),
  };
}

/** Converts `INDEXED_VALUE_TYPE_KEYWORD_LIST` to `KeywordList`, as people and Temporal's CLI write it. */
function typeName(type: number): string {
  const words = (IndexedValueType[type] ?? `${type}`).replace('INDEXED_VALUE_TYPE_', '').toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

/** The state of a namespace after the setup. */
export interface NamespaceSetup {
  namespace: string;
  /** How long histories are kept after the end of a run, in seconds. */
  retentionSeconds: number;
  /** `added` is false for attributes that existed before. */
  searchAttributes: { name: string; added: boolean }[];
}

/**
 * Registers the search attributes that the namespace lacks, and waits until the cluster lists them.
 *
 * @throws CodedError NOT_FOUND if the namespace does not exist; FAILED_PRECONDITION if an attribute has another type; PERMISSION_DENIED if
 *   the caller may not register any, as on Temporal Cloud (the message states how to do it there); DEADLINE_EXCEEDED if they do not appear
 */
export async function registerSearchAttributes(client: Client): Promise<NamespaceSetup> {
  const { namespace } = client.options;
  const { retentionSeconds } = await describeNamespace(client);
  const { missing, mistyped } = await attributeStatus(client);
  if (mistyped.length > 0) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Search attributes of namespace ${namespace} have the wrong type: ${mistyped.join(', ')}; they must be Keyword. If nothing else uses them, remove them: temporal operator search-attribute remove --name NAME.`,
    );
  }
  if (missing.length > 0) await registerMissing(client, missing);
  return {
    namespace,
    retentionSeconds,
    searchAttributes: Object.values(SEARCH_ATTRIBUTES).map(({ name }) => ({ name, added: missing.includes(name) })),
  };
}

/**
 * Describes the client's namespace; its retention is in seconds.
 *
 * @throws CodedError NOT_FOUND that states how to create it
 */
export async function describeNamespace({ connection, options: { namespace } }: Client) {
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    return { retentionSeconds: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) };
  } catch (error) {
    if (!isGrpcServiceError(error) || error.code !== status.NOT_FOUND) throw error;
    throw new CodedError(
      'NOT_FOUND',
      `Temporal has no namespace ${namespace}. Create it (temporal operator namespace create --namespace ${namespace} --retention 30d), or set TEMPORAL_NAMESPACE.`,
      { cause: error },
    );
  }
}

async function registerMissing(client: Client, missing: string[]): Promise<void> {
  const { namespace } = client.options;
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    const code = isGrpcServiceError(error) ? error.code : undefined;
    if (code === status.PERMISSION_DENIED || code === status.UNIMPLEMENTED) {
      const options = missing.map((name) => `--search-attribute "${name}=Keyword"`).join(' ');
      throw new CodedError(
        'PERMISSION_DENIED',
        `Search attributes may not be registered here: ${(error as Error).message}. On Temporal Cloud, register them on the namespace's page (Custom Search Attributes), or run: tcld namespace search-attributes add --namespace ${namespace} ${options}`,
        { cause: error },
      );
    }
    // Another process registers them at the same time.
    if (code !== status.ALREADY_EXISTS) throw error;
  }
  const deadline = Date.now() + VISIBLE_TIMEOUT_MS;
  while ((await attributeStatus(client)).missing.length > 0) {
    if (Date.now() > deadline) {
      throw new CodedError(
        'DEADLINE_EXCEEDED',
        `Namespace ${namespace} does not list the registered search attributes after ${VISIBLE_TIMEOUT_MS / 1000} s. Run this again.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
