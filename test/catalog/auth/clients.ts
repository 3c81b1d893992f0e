import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CallOptions,
  type ChannelCredentials,
  type ClientMiddlewareCall,
  createChannel,
  createClientFactory,
  Metadata,
} from 'nice-grpc';
import { errorDetailsClientMiddleware } from 'nice-grpc-error-details';
import { HealthDefinition } from 'nice-grpc-server-health';
import { attachClaim } from '../../../src/catalog-client/claim.ts';
import { BindingsDefinition } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { IngestionDefinition } from '../../../src/generated/reconciler/internal/v1/ingestion.ts';
import { ReconciliationDefinition } from '../../../src/generated/reconciler/internal/v1/reconciliation.ts';
import { CatalogsDefinition } from '../../../src/generated/reconciler/v1/catalogs.ts';
import { ConnectorsDefinition } from '../../../src/generated/reconciler/v1/connectors.ts';
import { TablesDefinition } from '../../../src/generated/reconciler/v1/tables.ts';
import { Role, TokensDefinition } from '../../../src/generated/reconciler/v1/tokens.ts';
import { recordServing } from '../../../src/stack/serving-file.ts';
import { TestCatalog } from '../harness.ts';

/** Reflection with messages as bytes. */
const RawReflection = {
  ask: {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Uint8Array) => bytes,
    requestDeserialize: (bytes: Uint8Array) => bytes,
    responseSerialize: (bytes: Uint8Array) => bytes,
    responseDeserialize: (bytes: Uint8Array) => bytes,
    options: {},
  },
} as const;

/** Clients whose calls carry the metadata. */
export function callWith(address: string, metadata: Record<string, string>, credentials?: ChannelCredentials) {
  const channel = createChannel(address, credentials);
  const factory = createClientFactory()
    .use(errorDetailsClientMiddleware)
    .use(attachClaim)
    .use(async function* attach<Request, Response>(
      call: ClientMiddlewareCall<Request, Response>,
      options: CallOptions,
      // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
    ): AsyncGenerator<Response, Response | void, undefined> {
      const all = Metadata(options.metadata);
      for (const [key, value] of Object.entries(metadata)) all.set(key, value);
      return yield* call.next(call.request, { ...options, metadata: all });
    });
  return {
    bindings: factory.create(BindingsDefinition, channel),
    catalogs: factory.create(CatalogsDefinition, channel),
    connectors: factory.create(ConnectorsDefinition, channel),
    health: factory.create(HealthDefinition, channel),
    ingestion: factory.create(IngestionDefinition, channel),
    reflection: factory.create(RawReflection, channel),
    reconciliation: factory.create(ReconciliationDefinition, channel),
    tables: factory.create(TablesDefinition, channel),
    tokens: factory.create(TokensDefinition, channel),
    close: () => channel.close(),
    [Symbol.dispose]: () => channel.close(),
  };
}

export type Clients = ReturnType<typeof callWith>;

/** A catalog that accepts tokens. Its own clients have none. */
export class GuardedCatalog implements AsyncDisposable {
  readonly catalog: TestCatalog;
  /** Calls of the owner. */
  readonly owner: Clients;
  readonly #clients: Clients[] = [];

  private constructor(catalog: TestCatalog, ownerToken: string) {
    this.catalog = catalog;
    this.owner = this.as(ownerToken);
  }

  static async start(): Promise<GuardedCatalog> {
    const catalog = await TestCatalog.start({ ownerToken: true });
    // As the process of a catalog service does, for the command line.
    recordServing(catalog.directory, catalog.address);
    return new GuardedCatalog(catalog, readFileSync(join(catalog.directory, 'token'), 'utf8').trim());
  }

  /** Calls with a token. */
  as(token: string, metadata: Record<string, string> = {}): Clients {
    const clients = callWith(this.catalog.address, { authorization: `Bearer ${token}`, ...metadata });
    this.#clients.push(clients);
    return clients;
  }

  /** Calls with a new token that has these roles in the tenant `default`. */
  async asRole(...roles: (keyof typeof ROLE)[]): Promise<Clients> {
    const request = { subject: roles.join(), roles: roles.map((role) => ROLE[role]) };
    return this.as((await this.owner.tokens.createToken(request)).secret);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const clients of this.#clients) clients.close();
    await this.catalog[Symbol.asyncDispose]();
  }
}

const ROLE = {
  reader: Role.ROLE_READER,
  operator: Role.ROLE_OPERATOR,
  admin: Role.ROLE_ADMIN,
  worker: Role.ROLE_WORKER,
  platform: Role.ROLE_PLATFORM,
} as const;
