import {
  type Database,
  GetDatabasesCommand,
  type GetDatabasesCommandOutput,
  GetTableCommand,
  type GetTableCommandOutput,
  GetTablesCommand,
  type GetTablesCommandOutput,
  GlueClient,
  type GlueClientConfig,
  type Table,
} from '@aws-sdk/client-glue';
import { CodedError } from '../../errors.ts';
import type { AwsCredentialProvider, AwsCredentials } from '../../storage/aws/credentials.ts';
import { mayBeRefused } from '../../storage/aws/errors.ts';
import { admit, type CallOptions } from '../../storage/aws/request-handler.ts';
import type { Usage } from '../../storage/usage.ts';
import { glueError } from './glue-errors.ts';
import type { GluePage } from './glue-pages.ts';

/** The largest page that Glue returns. */
export const MAX_GLUE_PAGE = 100;
/** Attempts per call. The SDK waits between them, longer if Glue throttles. */
const MAX_ATTEMPTS = 4;
/** For a call with all its attempts; below the 50 s after which the watchdog considers an activity stalled. */
const CALL_TIMEOUT_MS = 40_000;

export interface GlueCatalogOptions {
  client: Pick<GlueClientConfig, 'region' | 'endpoint' | 'requestHandler'> & { credentials: AwsCredentialProvider };
  /** `glue.id`; absent for the account's own catalog. */
  catalogId?: string;
  /** The endpoint or the region, for messages. */
  where: string;
  /** Returns which credentials are used, for messages; see `credentialsName`. */
  credentials: () => string;
  /** Counts every attempt and the bytes received. */
  usage: Usage;
}

/**
 * The three calls made to Glue, bounded in time. Failures are `CodedError`s: `PERMISSION_DENIED`, `UNAUTHENTICATED`, `NOT_FOUND`,
 * `RESOURCE_EXHAUSTED` with a wait if Glue keeps throttling, `UNAVAILABLE`, `DEADLINE_EXCEEDED` and others.
 */
export class GlueCatalog {
  readonly #client: GlueClient;
  readonly #catalogId?: string;
  readonly #where: string;
  readonly #provider: AwsCredentialProvider;
  readonly #credentials: () => string;
  readonly #usage: Usage;

  constructor({ client, catalogId, where, credentials, usage }: GlueCatalogOptions) {
    this.#client = new GlueClient({ ...client, maxAttempts: MAX_ATTEMPTS });
    this.#catalogId = catalogId;
    this.#where = catalogId ? `${where}, catalog ${catalogId}` : where;
    this.#provider = client.credentials;
    this.#credentials = credentials;
    this.#usage = usage;
  }

  async databases(nextToken?: string): Promise<GluePage<Database>> {
    const command = new GetDatabasesCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      ...(nextToken && { NextToken: nextToken }),
      MaxResults: MAX_GLUE_PAGE,
    });
    const response = await this.#call<GetDatabasesCommandOutput>('glue:GetDatabases', 'all databases', (options) =>
      this.#client.send(command, options),
    );
    return page('glue:GetDatabases', 'DatabaseList', response.DatabaseList, response.NextToken, nextToken);
  }

  async tables(database: string, size: number, nextToken?: string): Promise<GluePage<Table>> {
    const command = new GetTablesCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      DatabaseName: database,
      ...(nextToken && { NextToken: nextToken }),
      MaxResults: Math.min(size, MAX_GLUE_PAGE),
    });
    const response = await this.#call<GetTablesCommandOutput>('glue:GetTables', `database ${database}`, (options) =>
      this.#client.send(command, options),
    );
    return page('glue:GetTables', 'TableList', response.TableList, response.NextToken, nextToken);
  }

  async table(database: string, name: string): Promise<Table> {
    const command = new GetTableCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      DatabaseName: database,
      Name: name,
    });
    const response = await this.#call<GetTableCommandOutput>('glue:GetTable', `table ${database}.${name}`, (options) =>
      this.#client.send(command, options),
    );
    if (response.Table !== undefined) return response.Table;
    throw new CodedError('NOT_FOUND', `glue:GetTable on ${database}.${name} (${this.#where}) returned no table`);
  }

  close(): void {
    this.#client.destroy();
  }

  async #call<T>(action: string, on: string, send: (options: CallOptions) => Promise<T>): Promise<T> {
    let admitted = await admit(this.#usage);
    const limit = AbortSignal.timeout(CALL_TIMEOUT_MS);
    // The signal does not end the SDK's waits between attempts.
    const timeout = new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => {
        reject(new CodedError('DEADLINE_EXCEEDED', `no response within ${CALL_TIMEOUT_MS / 1000} s`));
      });
    });
    for (let isFirst = true; ; isFirst = false) {
      let used: AwsCredentials | undefined;
      try {
        used = await this.#provider();
        return await Promise.race([send({ abortSignal: limit, usage: this.#usage, ...admitted }), timeout]);
      } catch (error) {
        const isRefused = used !== undefined && isFirst && mayBeRefused(error);
        if (!isRefused || !(await this.#provider.renew(used as AwsCredentials))) {
          throw glueError(error, { action, on, where: this.#where, credentials: this.#credentials() });
        }
        admitted = await admit(this.#usage);
      }
    }
  }
}

function page<T>(
  action: string,
  list: string,
  items: T[] | undefined,
  next: string | undefined,
  requested: string | undefined,
): GluePage<T> {
  if (next !== undefined && next !== '' && next === requested) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${action} returned a page whose next page is that page itself, so the listing would never end`,
    );
  }
  // A proxy or another service may answer instead. An empty list would mean that everything is gone.
  if (!Array.isArray(items)) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${action} returned no ${list}, so the response is not one of AWS Glue: is the endpoint correct?`,
    );
  }
  return { items, ...(next && { nextToken: next }) };
}
