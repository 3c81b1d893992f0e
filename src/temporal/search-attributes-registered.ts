import { type Client, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { CodedError } from '../errors.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;

/** So long a cluster may take until it knows what was registered: its services read the list from time to time. */
const VISIBLE_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

/** Of gRPC. */
const [NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, UNIMPLEMENTED] = [5, 6, 7, 12];

const known = new WeakSet<Client>();

/** Whether the namespace has the attributes. Asked until it has: they may be registered while a worker runs. */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  if (known.has(client)) return true;
  try {
    const { missing, wrong } = await attributeStatus(client);
    if (missing.length === 0 && wrong.length === 0) known.add(client);
  } catch {
    // Where the caller may not list them, they are not used.
  }
  return known.has(client);
}

/** What the namespace has of the attributes; `wrong` for those of another type, as `Name is Text`. */
async function attributeStatus(client: Client): Promise<{ missing: string[]; wrong: string[] }> {
  const namespace = client.options.namespace;
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  const names = Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name);
  const typeOf = (name: string) => customAttributes?.[name];
  return {
    missing: names.filter((name) => typeOf(name) === undefined),
    wrong: names
      .filter((name) => typeOf(name) !== undefined && typeOf(name) !== KEYWORD)
      .map((name) => `${name} is ${typeName(typeOf(name)!)}`),
  };
}

/** `INDEXED_VALUE_TYPE_KEYWORD_LIST` as people and Temporal's CLI write it: KeywordList. */
function typeName(type: number): string {
  const words = (IndexedValueType[type] ?? `${type}`).replace('INDEXED_VALUE_TYPE_', '').toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

/** What was found of the namespace, and made. */
export interface NamespaceSetup {
  namespace: string;
  /** How long histories are kept after a run's end. */
  retentionSeconds: number;
  /** By name. Added: now; else they were there. */
  searchAttributes: { name: string; added: boolean }[];
}

/**
 * Registers the search attributes that the namespace does not have, and waits until the cluster knows them.
 *
 * @throws CodedError NOT_FOUND without the namespace; FAILED_PRECONDITION where one has another type; PERMISSION_DENIED where the caller
 *   may not register any, as on Temporal Cloud: the message says how to do it there
 */
export async function registerSearchAttributes(client: Client): Promise<NamespaceSetup> {
  const { namespace } = client.options;
  const { retentionSeconds } = await describeNamespace(client);
  const { missing, wrong } = await attributeStatus(client);
  if (wrong.length > 0) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Search attributes of namespace ${namespace} have another type: ${wrong.join(', ')}; they must be Keyword. If nothing else uses them, remove them: temporal operator search-attribute remove --name NAME.`,
    );
  }
  if (missing.length > 0) await add(client, missing);
  return {
    namespace,
    retentionSeconds,
    searchAttributes: Object.values(SEARCH_ATTRIBUTES).map(({ name }) => ({ name, added: missing.includes(name) })),
  };
}

/**
 * What is to be known of the client's namespace.
 *
 * @throws CodedError NOT_FOUND that says how to make it
 */
export async function describeNamespace({ connection, options: { namespace } }: Client) {
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    return { retentionSeconds: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) };
  } catch (error) {
    if (!isGrpcServiceError(error) || Number(error.code) !== NOT_FOUND) throw error;
    throw new CodedError(
      'NOT_FOUND',
      `Temporal has no namespace ${namespace}. Make it (temporal operator namespace create --namespace ${namespace} --retention 30d), or set TEMPORAL_NAMESPACE.`,
      { cause: error },
    );
  }
}

async function add(client: Client, missing: string[]): Promise<void> {
  const { namespace } = client.options;
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    const code = isGrpcServiceError(error) ? Number(error.code) : undefined;
    if (code === PERMISSION_DENIED || code === UNIMPLEMENTED) {
      const options = missing.map((name) => `--search-attribute "${name}=Keyword"`).join(' ');
      throw new CodedError(
        'PERMISSION_DENIED',
        `Search attributes may not be registered here: ${(error as Error).message}. On Temporal Cloud do it on the namespace's page (Custom Search Attributes), or: tcld namespace search-attributes add --namespace ${namespace} ${options}`,
        { cause: error },
      );
    }
    // Somebody else does the same.
    if (code !== ALREADY_EXISTS) throw error;
  }
  const deadline = Date.now() + VISIBLE_TIMEOUT_MS;
  while ((await attributeStatus(client)).missing.length > 0) {
    if (Date.now() > deadline) {
      throw new CodedError(
        'DEADLINE_EXCEEDED',
        `Namespace ${namespace} does not list the search attributes that were registered. Run this again.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
