import { status } from '@grpc/grpc-js';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import { declarationOf, SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { CodedError } from '../errors.ts';
import { type AttributeStatus, attributeStatus, indexedTypeOf, isRefused } from './search-attribute-status.ts';

/** How long a cluster may take to list attributes after their registration; its services refresh the list from time to time. */
const VISIBLE_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

/** Clients whose namespace is known to have all attributes. */
const registered = new WeakSet<Client>();

/**
 * Whether the namespace has all search attributes; false if the caller cannot find out. It is checked until it is true, because they may
 * be registered while a worker runs.
 */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  if (registered.has(client)) return true;
  try {
    const { missing, mistyped } = await attributeStatus(client);
    if (missing.length === 0 && mistyped.length === 0) registered.add(client);
  } catch {
    // They are not used. `setup` reports the reason.
  }
  return registered.has(client);
}

/** The state of a namespace after the setup. */
export interface NamespaceSetup {
  namespace: string;
  /** How long histories are kept after the end of a run, in seconds; absent if the caller may not read it. */
  retentionSeconds?: number;
  /** `added` is false for attributes that existed before. */
  searchAttributes: { name: string; added: boolean }[];
}

/**
 * Registers the search attributes that the namespace lacks, and waits until the cluster lists them.
 *
 * @throws CodedError NOT_FOUND if the namespace does not exist; FAILED_PRECONDITION if an attribute has another type, or the namespace has
 *   no room for more; PERMISSION_DENIED if the caller may not register any, as on Temporal Cloud (the message states how to do it there),
 *   or may not even find out which exist; DEADLINE_EXCEEDED if they do not appear
 */
export async function registerSearchAttributes(client: Client): Promise<NamespaceSetup> {
  const { namespace } = client.options;
  const { retentionSeconds } = await describeNamespace(client);
  const { missing, mistyped } = await attributeStatus(client);
  if (mistyped.length > 0) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `Search attributes of namespace ${namespace} have the wrong type: ${mistyped.join(', ')}. If nothing else uses them, remove them: temporal operator search-attribute remove --name NAME.`,
    );
  }
  if (missing.length > 0) await registerMissing(client, missing);
  return {
    namespace,
    retentionSeconds,
    searchAttributes: Object.values(SEARCH_ATTRIBUTES).map((key) => ({ name: key.name, added: missing.includes(key) })),
  };
}

/**
 * Describes the client's namespace; its retention is in seconds, and absent if the caller may not read it.
 *
 * @throws CodedError NOT_FOUND that states how to create it
 */
export async function describeNamespace({
  connection,
  options: { namespace },
}: Client): Promise<{ retentionSeconds?: number }> {
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    return { retentionSeconds: Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) };
  } catch (error) {
    // An API key may be restricted to running workflows.
    if (isRefused(error)) return {};
    if (!isGrpcServiceError(error) || error.code !== status.NOT_FOUND) throw error;
    throw new CodedError(
      'NOT_FOUND',
      `Temporal has no namespace ${namespace}. Create it (temporal operator namespace create --namespace ${namespace} --retention 30d), or set TEMPORAL_NAMESPACE.`,
      { cause: error },
    );
  }
}

async function registerMissing(client: Client, missing: AttributeStatus['missing']): Promise<void> {
  const { namespace } = client.options;
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((key) => [key.name, indexedTypeOf(key)])),
    });
  } catch (error) {
    // Another process registers them at the same time.
    if (!isGrpcServiceError(error) || error.code !== status.ALREADY_EXISTS)
      throw registrationError(error, client, missing);
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

function registrationError(
  error: unknown,
  { options: { namespace } }: Client,
  missing: AttributeStatus['missing'],
): unknown {
  if (!isGrpcServiceError(error)) return error;
  const names = missing.map(({ name }) => name).join(', ');
  if (isRefused(error)) {
    const options = missing.map((key) => `--search-attribute "${declarationOf(key)}"`).join(' ');
    return new CodedError(
      'PERMISSION_DENIED',
      `Namespace ${namespace} lacks the search attributes ${names}, and these credentials may not register them: ${error.message}. Until they are registered, jobs run without any. On Temporal Cloud, register them on the namespace's page (Custom Search Attributes), or run: tcld namespace search-attributes add --namespace ${namespace} ${options}`,
      { cause: error },
    );
  }
  // For example the limit of an SQL database for attributes of one type.
  if (error.code !== status.INVALID_ARGUMENT) return error;
  return new CodedError(
    'FAILED_PRECONDITION',
    `Temporal does not accept the search attributes ${names} in namespace ${namespace}: ${error.details}. Until they are registered, jobs run without any. Remove attributes that nothing uses (temporal operator search-attribute remove --name NAME), or use another namespace.`,
    { cause: error },
  );
}
