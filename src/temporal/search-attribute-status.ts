import { status } from '@grpc/grpc-js';
import { type Client, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { declarationOf, SEARCH_ATTRIBUTES } from '../contract/search-attributes.ts';
import { CodedError } from '../errors.ts';

const { IndexedValueType } = proto.temporal.api.enums.v1;
const ATTRIBUTES = Object.values(SEARCH_ATTRIBUTES);

export interface AttributeStatus {
  /** Attributes that the namespace lacks. */
  missing: (typeof ATTRIBUTES)[number][];
  /** Those that have another type there, as `Name is Text instead of Keyword`. */
  mistyped: string[];
}

/**
 * Compares the namespace's search attributes with this project's.
 *
 * @throws CodedError PERMISSION_DENIED if the caller may neither list nor query them
 */
export async function attributeStatus(client: Client): Promise<AttributeStatus> {
  const { namespace } = client.options;
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
    const typeOf = (name: string) => customAttributes?.[name];
    return {
      missing: ATTRIBUTES.filter(({ name }) => typeOf(name) === undefined),
      mistyped: ATTRIBUTES.flatMap((attribute) => {
        const type = typeOf(attribute.name);
        if (type === undefined || type === indexedTypeOf(attribute)) return [];
        return [`${attribute.name} is ${typeName(type)} instead of ${declarationOf(attribute).split('=')[1]}`];
      }),
    };
  } catch (error) {
    if (!isRefused(error)) throw error;
    // API keys may be restricted to running workflows, and some clusters offer no operator service.
    return statusByQueries(client, error as Error);
  }
}

/** The type as the server's API has it. */
export function indexedTypeOf({ type }: (typeof ATTRIBUTES)[number]): number {
  return IndexedValueType[`INDEXED_VALUE_TYPE_${type}`];
}

/** Whether the server, or something in front of it, refuses this kind of call to this caller. */
export function isRefused(error: unknown): boolean {
  return isGrpcServiceError(error) && [status.PERMISSION_DENIED, status.UNIMPLEMENTED].includes(error.code);
}

/** Temporal refuses queries that name an unknown attribute or compare it with a value of another type. */
async function statusByQueries(client: Client, cause: Error): Promise<AttributeStatus> {
  const conditionOf = ({ name, type }: (typeof ATTRIBUTES)[number]) => `${name} = ${type === 'BOOL' ? 'true' : "'x'"}`;
  const isAccepted = async (query: string) => {
    try {
      await client.connection.workflowService.countWorkflowExecutions({ namespace: client.options.namespace, query });
      return true;
    } catch (error) {
      if (isGrpcServiceError(error) && error.code === status.INVALID_ARGUMENT) return false;
      if (!isRefused(error)) throw error;
      throw new CodedError(
        'PERMISSION_DENIED',
        `These credentials may neither list nor query the search attributes of namespace ${client.options.namespace}, so it is unknown whether they exist: ${cause.message}. Jobs run without them, but cannot be found by their connector. Give the catalog and the workers credentials that may list search attributes, and run this again with them.`,
        { cause },
      );
    }
  };
  if (await isAccepted(ATTRIBUTES.map(conditionOf).join(' AND '))) return { missing: [], mistyped: [] };
  const accepted = await Promise.all(ATTRIBUTES.map((attribute) => isAccepted(conditionOf(attribute))));
  return { missing: ATTRIBUTES.filter((_, index) => !accepted[index]), mistyped: [] };
}

/** Converts `INDEXED_VALUE_TYPE_KEYWORD_LIST` to `KeywordList`, as people and Temporal's CLI write it. */
function typeName(type: number): string {
  const words = (IndexedValueType[type] ?? `${type}`).replace('INDEXED_VALUE_TYPE_', '').toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
