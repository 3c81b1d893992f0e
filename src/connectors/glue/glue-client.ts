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
import { admit, type Counted } from '../../storage/aws/request-handler.ts';
import type { Usage } from '../../storage/usage.ts';
import { glueError } from './glue-errors.ts';
import type { GluePage } from './glue-pages.ts';

/** The most that Glue gives at once. */
export const MAX_GLUE_PAGE = 100;
/** Attempts at one call: the SDK waits between them, longer where it was throttled. */
const MAX_ATTEMPTS = 4;
/** One call with all its attempts; below the 50 s after which an activity counts as stalled. */
const CALL_TIMEOUT_MS = 40_000;

export interface GlueCatalogOptions {
  client: Pick<GlueClientConfig, 'region' | 'endpoint' | 'credentials' | 'requestHandler'>;
  /** `glue.id`; absent for the account's own catalog. */
  catalogId?: string;
  /** For messages: the endpoint or the region, and which credentials are used. */
  where: string;
  credentials: string;
  /** Counted: every attempt, and the bytes that came. */
  usage: Usage;
}

/**
 * The three questions asked of Glue, with bounds, and failures as `CodedError`s: `PERMISSION_DENIED`, `UNAUTHENTICATED`, `NOT_FOUND`,
 * `RESOURCE_EXHAUSTED` with a wait when it goes on throttling, `UNAVAILABLE`, `DEADLINE_EXCEEDED`, …
 */
export class GlueCatalog {
  readonly #client: GlueClient;
  readonly #catalogId?: string;
  readonly #where: string;
  readonly #credentials: string;
  readonly #usage: Usage;

  constructor({ client, catalogId, where, credentials, usage }: GlueCatalogOptions) {
    this.#client = new GlueClient({ ...client, maxAttempts: MAX_ATTEMPTS });
    this.#catalogId = catalogId;
    this.#where = catalogId ? `${where}, catalog ${catalogId}` : where;
    this.#credentials = credentials;
    this.#usage = usage;
  }

  async databases(nextToken?: string): Promise<GluePage<Database>> {
    const command = new GetDatabasesCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      ...(nextToken && { NextToken: nextToken }),
      MaxResults: MAX_GLUE_PAGE,
    });
    const answer = await this.#call<GetDatabasesCommandOutput>('glue:GetDatabases', 'all databases', (options) =>
      this.#client.send(command, options),
    );
    return page('glue:GetDatabases', answer.DatabaseList, answer.NextToken, nextToken);
  }

  async tables(database: string, size: number, nextToken?: string): Promise<GluePage<Table>> {
    const command = new GetTablesCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      DatabaseName: database,
      ...(nextToken && { NextToken: nextToken }),
      MaxResults: Math.min(size, MAX_GLUE_PAGE),
    });
    const answer = await this.#call<GetTablesCommandOutput>('glue:GetTables', `database ${database}`, (options) =>
      this.#client.send(command, options),
    );
    return page('glue:GetTables', answer.TableList, answer.NextToken, nextToken);
  }

  async table(database: string, name: string): Promise<Table> {
    const command = new GetTableCommand({
      ...(this.#catalogId && { CatalogId: this.#catalogId }),
      DatabaseName: database,
      Name: name,
    });
    const answer = await this.#call<GetTableCommandOutput>('glue:GetTable', `table ${database}.${name}`, (options) =>
      this.#client.send(command, options),
    );
    if (answer.Table !== undefined) return answer.Table;
    throw new CodedError('NOT_FOUND', `glue:GetTable on ${database}.${name} (${this.#where}) gives no table`);
  }

  close(): void {
    this.#client.destroy();
  }

  async #call<T>(action: string, on: string, send: (options: Counted) => Promise<T>): Promise<T> {
    const admitted = await admit(this.#usage);
    const limit = AbortSignal.timeout(CALL_TIMEOUT_MS);
    // The SDK's waits between attempts do not end with the signal.
    const ended = new Promise<never>((_, reject) => {
      limit.addEventListener('abort', () => {
        reject(new CodedError('DEADLINE_EXCEEDED', `no answer within ${CALL_TIMEOUT_MS / 1000} s`));
      });
    });
    try {
      return await Promise.race([send({ abortSignal: limit, usage: this.#usage, ...admitted }), ended]);
    } catch (error) {
      throw glueError(error, { action, on, where: this.#where, credentials: this.#credentials });
    }
  }
}

function page<T>(
  action: string,
  items: T[] | undefined,
  next: string | undefined,
  asked: string | undefined,
): GluePage<T> {
  if (next !== undefined && next !== '' && next === asked) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `${action} answers a page that points to itself: the listing has no end`,
    );
  }
  return { items: items ?? [], ...(next && { nextToken: next }) };
}
