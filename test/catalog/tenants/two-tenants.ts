import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Channel, ClientError, createChannel, createClientFactory, Metadata } from 'nice-grpc';
import { pino } from 'pino';
import type { Role } from '../../../src/catalog/identity/principal.ts';
import { startCatalog } from '../../../src/catalog/server/server.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { CLAIM_METADATA, type Claim, formatClaim } from '../../../src/contract/claim.ts';
import { BindingsDefinition } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { IngestionDefinition } from '../../../src/generated/reconciler/internal/v1/ingestion.ts';
import { ReconciliationDefinition } from '../../../src/generated/reconciler/internal/v1/reconciliation.ts';
import { AuditDefinition } from '../../../src/generated/reconciler/v1/audit.ts';
import { CatalogsDefinition } from '../../../src/generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../../../src/generated/reconciler/v1/connectors.ts';
import { DirectoryDefinition } from '../../../src/generated/reconciler/v1/directory.ts';
import { ReconcileJobsDefinition } from '../../../src/generated/reconciler/v1/jobs.ts';
import { NamespacesDefinition } from '../../../src/generated/reconciler/v1/namespaces.ts';
import { PlansDefinition } from '../../../src/generated/reconciler/v1/plans.ts';
import { SchedulesDefinition } from '../../../src/generated/reconciler/v1/schedules.ts';
import { SnapshotsDefinition } from '../../../src/generated/reconciler/v1/snapshots.ts';
import { TableStatisticsDefinition } from '../../../src/generated/reconciler/v1/statistics.ts';
import { TablesDefinition } from '../../../src/generated/reconciler/v1/tables.ts';
import { TenantsDefinition } from '../../../src/generated/reconciler/v1/tenants.ts';
import { TokensDefinition } from '../../../src/generated/reconciler/v1/tokens.ts';
import { ViewsDefinition } from '../../../src/generated/reconciler/v1/views.ts';
import { FakeJobs } from '../harness.ts';

const DEFINITIONS = [
  ...[
    AuditDefinition,
    BindingsDefinition,
    CatalogsDefinition,
    ConnectorsDefinition,
    DirectoryDefinition,
    IngestionDefinition,
  ],
  ...[NamespacesDefinition, PlansDefinition, ReconcileJobsDefinition, ReconciliationDefinition, SchedulesDefinition],
  ...[
    SnapshotsDefinition,
    TableStatisticsDefinition,
    TablesDefinition,
    TenantsDefinition,
    TokensDefinition,
    ViewsDefinition,
  ],
];

interface Method {
  name: string;
  requestStream: boolean;
  responseStream: boolean;
  responseType: { toJSON(message: unknown): unknown };
}

/** Methods by path, such as `/reconciler.v1.Tables/GetTable`, with the names by which clients call them. */
export const METHODS = new Map(
  DEFINITIONS.flatMap((definition) =>
    Object.entries(definition.methods as unknown as Record<string, Method>).map(([key, method]) => [
      `/${definition.fullName}/${method.name}`,
      { key, method, definition },
    ]),
  ),
);

type Rpc = (request: unknown, options?: object) => unknown;

/** The key of the metadata that names the principal of a call, as role@tenant. */
const PRINCIPAL = 'test-principal';

/** What a call returned: `response` as JSON, or the code and message of its error. */
export interface Outcome {
  code: string;
  /** The message of an error, or the response. */
  text: string;
  response: unknown;
}

/** The text that everything of a tenant contains. */
export const nonceOf = (tenant: string) => `secret-of-${tenant}`;

/** Who calls in the name of a tenant: what is recorded of its calls is the tenant's as well. */
export const callerOf = (tenant: string) => `somebody with the ${nonceOf(tenant)}`;

/** A catalog service whose callers are who they say they are. */
export class SharedCatalog {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tenants-'));
  readonly file = join(this.#directory, 'catalog.db');
  readonly jobs = new FakeJobs();
  /** The namespaces of tenants that have their own. */
  readonly namespaces = new Map<string, FakeJobs>();
  /** Everything that the service has logged. */
  readonly log: string[] = [];
  #running!: Awaited<ReturnType<typeof startCatalog>>;
  #channel!: Channel;
  readonly #clients = new Map<string, Record<string, Rpc>>();

  static async start(): Promise<SharedCatalog> {
    const catalog = new SharedCatalog();
    catalog.#running = await startCatalog({
      address: '127.0.0.1:0',
      databaseFile: catalog.file,
      jobs: catalog.jobs,
      async jobsIn(namespace) {
        const jobs = new FakeJobs();
        catalog.namespaces.set(namespace, jobs);
        return jobs;
      },
      logger: pino({ level: 'trace' }, { write: (line: string) => void catalog.log.push(line) }),
      async authenticate({ metadata }) {
        const [role = '', tenant = ''] = (metadata.get(PRINCIPAL) ?? '').split('@');
        return { subject: callerOf(tenant), issuer: 'test', tenants: [tenant], roles: [role as Role] };
      },
    });
    catalog.#channel = createChannel(catalog.#running.address);
    return catalog;
  }

  /** The calls that validate a connector, each with what lets it end. */
  readonly #validations: { call: Promise<unknown>; end: () => void }[] = [];

  /** A draft of a connector. It exists until `endDrafts`, as long as the worker validates. */
  async draft(as: `${Role}@${string}`, connector: object): Promise<string> {
    const path = '/reconciler.v1.Connectors/ValidateConnector';
    const target = { $case: 'connector', value: connector };
    const draftId = await new Promise<string>((begun, refused) => {
      let end = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      this.jobs.onValidate = async (request) => {
        begun((request as { draftId: string }).draftId);
        await ended;
      };
      const call = this.need(path, as, { target });
      call.catch(refused);
      this.#validations.push({ call, end });
    });
    this.jobs.onValidate = undefined;
    return draftId;
  }

  async endDrafts(): Promise<void> {
    const validations = this.#validations.splice(0);
    for (const { end } of validations) end();
    await Promise.all(validations.map(({ call }) => call));
  }

  async stop(): Promise<void> {
    await this.endDrafts();
    this.#channel.close();
    await this.#running.stop();
    rmSync(this.#directory, { recursive: true });
  }

  /** Marks a connector as one of a catalog that was restored. */
  unverify(connectorId: string): void {
    const database = new Sqlite(this.file);
    database.prepare('update connectors set unverified_since = 1 where connector_id = ?').run(connectorId);
    database.close();
  }

  /** Makes a call as a role of a tenant, with `{ under, request }` under the claim of a job. */
  async call(path: string, as: `${Role}@${string}`, request: unknown): Promise<Outcome> {
    const { method } = METHODS.get(path)!;
    const { under, request: message = request } = request as { under?: Claim; request?: unknown };
    const sent = method.requestStream ? streamOf(message as unknown[]) : message;
    const options = under === undefined ? {} : { metadata: Metadata({ [CLAIM_METADATA]: formatClaim(under) }) };
    try {
      const answer = this.#rpc(path, as)(sent, options);
      const messages: unknown[] = [];
      if (method.responseStream) for await (const message of answer as AsyncIterable<unknown>) messages.push(message);
      else messages.push(await (answer as Promise<unknown>));
      const response = messages.map((message) => method.responseType.toJSON(message));
      return { code: 'OK', text: JSON.stringify(response), response: messages.at(-1) };
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const [code = ''] = error.message.split(': ')[0]?.split(' ').slice(-1) ?? [];
      const details = JSON.stringify({ ...error });
      return { code, text: error.details, response: details };
    }
  }

  /** The response of a call that must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: the responses of all RPCs.
  async need(path: string, as: `${Role}@${string}`, request: unknown): Promise<any> {
    const { code, text, response } = await this.call(path, as, request);
    if (code !== 'OK') throw new Error(`${path} as ${as}: ${code} ${text}`);
    return response;
  }

  #rpc(path: string, as: string): Rpc {
    const { key, definition } = METHODS.get(path)!;
    const id = `${as} ${definition.fullName}`;
    let client = this.#clients.get(id);
    if (!client) {
      const factory = createClientFactory().use((call, options) =>
        call.next(call.request, { ...options, metadata: Metadata(options.metadata).set(PRINCIPAL, as) }),
      );
      client = factory.create(definition, this.#channel) as never as Record<string, Rpc>;
      this.#clients.set(id, client);
    }
    return client[key] as Rpc;
  }
}

async function* streamOf(requests: unknown[]): AsyncIterable<unknown> {
  yield* requests;
}
