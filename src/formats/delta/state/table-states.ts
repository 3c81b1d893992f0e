import { CodedError } from '../../../errors.ts';
import { RESTORE } from '../../malformed.ts';
import type { MetadataAction, ProtocolAction } from '../actions.ts';
import type { CheckpointReader } from '../checkpoint/checkpoint-reader.ts';
import type { DeltaSchema, DeltaSchemas } from '../columns/delta-schema.ts';
import type { LineRange, SmallActions } from '../log/commit.ts';
import type { Commits } from '../log/commits.ts';
import type { DeltaLog } from '../log/delta-log.ts';
import type { ActionPlace, StateOrigins } from '../log/fingerprint.ts';
import type { LogStore } from '../log/log-store.ts';
import { readAhead } from '../log/read-ahead.ts';
import { type Checksum, readChecksum } from './checksum.ts';
import { checkProtocol } from './protocol.ts';
import type { RememberedState } from './remembered-states.ts';

/** What a version of a table is, besides its files. */
export interface TableState {
  metadata: MetadataAction;
  protocol: ProtocolAction;
  /** Configurations of the metadata domains that are not removed. */
  domains: ReadonlyMap<string, string>;
  /** Present if the metadata and the protocol were found in commits. */
  origins?: StateOrigins;
  /** @throws CodedError `UNIMPLEMENTED` or `DATA_LOSS` if the version cannot be read with its protocol or its columns */
  schema(): DeltaSchema;
}

/** Each has a schema, which may be large. */
const MAX_INTERVALS = 32;

/** Commits that are read rather than a checksum file or a checkpoint. */
const MAX_NEAR = 32;
/** Between two lines that are read together. */
const MAX_GAP_BYTES = 64 * 1024;

interface Interval {
  from: number;
  to: number;
  state: TableState;
}

interface Found {
  metadata?: MetadataAction;
  protocol?: ProtocolAction;
  /** Where they are in commits. */
  metadataAt?: ActionPlace;
  protocolAt?: ActionPlace;
  /** Removed domains, too. */
  domains: Map<string, { configuration: string; removed: boolean }>;
}

export interface TableStatesOptions {
  log: DeltaLog;
  store: LogStore;
  commits: Commits;
  schemas: DeltaSchemas;
  /** As users name it. */
  table: string;
  isFromCatalog: boolean;
  checkpoint(upTo: number): Promise<CheckpointReader | undefined>;
  /** Where the state of an earlier version comes from, if the log continues it. */
  known?: { version: number; origins: StateOrigins };
  /** The state of an earlier version of this log. */
  remembered?: RememberedState;
}

/**
 * Protocol, metadata and columns of each version. They are taken from the version's checksum file, or from the newest commits that have them and the
 * checkpoint before them (Delta protocol, "Action Reconciliation").
 */
export class TableStates {
  readonly #options: TableStatesOptions;
  /** The one that was found last is first. */
  #intervals: Interval[] = [];
  readonly #checksums = new Map<number, Promise<Checksum | undefined>>();

  constructor(options: TableStatesOptions) {
    this.#options = options;
    const { remembered } = options;
    if (remembered === undefined) return;
    const { version, metadata, protocol, domains, origins } = remembered;
    const found: Found = { metadata, protocol, domains: new Map() };
    for (const [domain, configuration] of domains) found.domains.set(domain, { configuration, removed: false });
    if (origins) [found.metadataAt, found.protocolAt] = [origins.metadata, origins.protocol];
    this.#rememberSince(version, this.#complete(version, found));
  }

  /** @throws CodedError `DATA_LOSS` if the log does not have it any more, or is broken */
  async at(version: number): Promise<TableState> {
    return this.#known(version) ?? (await this.#load(version));
  }

  /** The state of a version whose commit was read. Cheap if the version before it is known. @throws as `at` */
  async after(version: number, actions: SmallActions): Promise<TableState> {
    const known = this.#known(version);
    if (known) return known;
    const before = this.#intervals.find(({ from, to }) => from < version && version <= to + 1);
    if (before === undefined) return this.#load(version);
    const found: Found = { domains: new Map() };
    if (!addOlder(found, actions, version)) {
      before.to = version;
      return before.state;
    }
    return this.#remember(version, version, this.#complete(version, found, before.state));
  }

  /** What the version's checksum file says; undefined if there is none. */
  checksum(version: number): Promise<Checksum | undefined> {
    const { log, store } = this.#options;
    const path = log.checksumPath(version);
    if (path === undefined) return Promise.resolve(undefined);
    let read = this.#checksums.get(version);
    if (read === undefined) {
      // It is needed twice: for the state, and for the counts.
      if (this.#checksums.size > 16) this.#checksums.clear();
      read = readChecksum(store, path);
      this.#checksums.set(version, read);
      read.catch(() => this.#checksums.delete(version));
    }
    return read;
  }

  #known(version: number): TableState | undefined {
    return this.#intervalOf(version)?.state;
  }

  #intervalOf(version: number): Interval | undefined {
    return this.#intervals.find(({ from, to }) => from <= version && version <= to);
  }

  async #load(version: number): Promise<TableState> {
    const { log, commits, checkpoint, known } = this.#options;
    const near = await this.#nearBefore(version);
    const sinceNear = near && (await this.#since(near, version));
    if (sinceNear) return sinceNear;
    const checksum = await this.checksum(version);
    if (checksum && (checksum.domains || !hasDomains(checksum.protocol))) {
      const { metadata, protocol, domains = [] } = checksum;
      const found: Found = { metadata, protocol, domains: new Map(domains.map((domain) => [domain.domain, domain])) };
      return this.#remember(version, version, this.#complete(version, found));
    }
    const continued = known && known.version <= version ? await this.#knownState() : undefined;
    const sinceKnown = continued && (await this.#since(continued, version));
    if (sinceKnown) return sinceKnown;
    const base = await checkpoint(version);
    const found: Found = { domains: new Map() };
    let since = base?.version ?? log.first;
    let before: TableState | undefined;
    const hasAll = () => found.metadata && found.protocol && !hasDomains(found.protocol);
    for await (const [at, actions] of readAhead(
      descending(version, base === undefined ? log.first : base.version + 1),
      async (at): Promise<[number, SmallActions]> => [at, await commits.smallActions(at)],
    )) {
      before = this.#known(at);
      if (before) {
        since = Math.max(since, at + 1);
        break;
      }
      if (addOlder(found, actions, at)) since = Math.max(since, at);
      if (hasAll()) break;
    }
    if (before === undefined && base && !hasAll()) addOlder(found, await base.smallActions());
    return this.#remember(since, version, this.#complete(version, found, before, base?.path));
  }

  /**
   * A state that is not older than the known one, and so shortly before the version that the commits since then, which are read for their files, are
   * the cheapest way to its own.
   */
  async #nearBefore(version: number): Promise<Interval | undefined> {
    const { known: { version: known } = {}, remembered } = this.#options;
    const oldest = remembered?.version ?? known;
    if (oldest === undefined) return undefined;
    const isNear = (to: number) => to >= oldest && to < version && version - to <= MAX_NEAR;
    let near: Interval | undefined;
    for (const interval of this.#intervals) if (isNear(interval.to) && interval.to > (near?.to ?? -1)) near = interval;
    if (known === undefined || known <= (near?.to ?? -1)) return near;
    if (known !== version && !isNear(known)) return near;
    return (await this.#knownState()) ?? near;
  }

  /** The state of the known version, from the lines that it was read from. Undefined if that is not enough. */
  async #knownState(): Promise<Interval | undefined> {
    const { known, commits } = this.#options;
    if (known === undefined) return undefined;
    const interval = this.#intervalOf(known.version);
    if (interval) return interval;
    const found: Found = { domains: new Map() };
    for (const place of joined(known.origins)) {
      // Such a commit may have been cleaned up.
      const actions = await commits.actionsIn(place.version, place).catch(() => undefined);
      if (actions) addOlder(found, actions, place.version, place.start);
    }
    if (!found.metadata || !found.protocol || hasDomains(found.protocol)) return undefined;
    this.#rememberSince(known.version, this.#complete(known.version, found));
    return this.#intervalOf(known.version);
  }

  /** The state from that of an earlier version and the commits since then. Undefined if one of these is gone. */
  async #since(earlier: Interval, version: number): Promise<TableState | undefined> {
    const { log, commits } = this.#options;
    for (const at of descending(version, earlier.to + 1)) if (log.commitPath(at) === undefined) return undefined;
    const found: Found = { domains: new Map() };
    let since: number | undefined;
    const newer = readAhead(
      descending(version, earlier.to + 1),
      async (at): Promise<[number, SmallActions]> => [at, await commits.smallActions(at)],
    );
    for await (const [at, actions] of newer) if (addOlder(found, actions, at)) since ??= at;
    if (since !== undefined) return this.#remember(since, version, this.#complete(version, found, earlier.state));
    earlier.to = Math.max(earlier.to, version);
    return earlier.state;
  }

  #complete(version: number, found: Found, before?: TableState, checkpoint?: string): TableState {
    const { table, schemas, isFromCatalog, log } = this.#options;
    const metadata = found.metadata ?? before?.metadata;
    const protocol = found.protocol ?? before?.protocol;
    if (!metadata || !protocol) {
      const missing = metadata ? 'protocol' : 'metaData';
      const where = checkpoint ?? `the commits in ${log.folder}`;
      throw new CodedError(
        'DATA_LOSS',
        `table ${table} has no ${missing} at version ${version}: ${where} should have it.${RESTORE}`,
      );
    }
    const domains = new Map(before?.domains);
    for (const [domain, { configuration, removed }] of found.domains) {
      if (removed) domains.delete(domain);
      else domains.set(domain, configuration);
    }
    let schema: DeltaSchema | undefined;
    const metadataAt = found.metadata ? found.metadataAt : before?.origins?.metadata;
    const protocolAt = found.protocol ? found.protocolAt : before?.origins?.protocol;
    return {
      metadata,
      protocol,
      domains,
      ...(metadataAt !== undefined &&
        protocolAt !== undefined && { origins: { metadata: metadataAt, protocol: protocolAt } }),
      schema() {
        if (schema) return schema;
        checkProtocol(protocol, table, isFromCatalog);
        if (metadata.provider.toLowerCase() !== 'parquet') {
          throw new CodedError(
            'UNIMPLEMENTED',
            `table ${table} has files of the format ${metadata.provider}; only parquet is supported`,
          );
        }
        try {
          schema = schemas.schemaOf(metadata, protocol);
        } catch (error) {
          if (!(error instanceof CodedError)) throw error;
          throw new CodedError(error.code, `table ${table}, version ${version}: ${error.message}`, { cause: error });
        }
        return schema;
      },
    };
  }

  /** Nothing has changed since the newer one of the state's origins. Domains have none. */
  #rememberSince(version: number, state: TableState): void {
    const { origins, protocol, domains } = state;
    const isSinceOrigins = origins !== undefined && !hasDomains(protocol) && domains.size === 0;
    const from = isSinceOrigins ? Math.max(origins.metadata.version, origins.protocol.version) : version;
    this.#remember(from, version, state);
  }

  #remember(from: number, to: number, state: TableState): TableState {
    const others = this.#intervals.filter((known) => known.to < from || known.from > to);
    this.#intervals = [{ from, to, state }, ...others.slice(0, MAX_INTERVALS - 1)];
    return state;
  }
}

/**
 * Adds what an older commit or checkpoint has.
 *
 * @param version of the commit
 * @param start first byte of what was read of it
 * @returns whether it had anything
 */
function addOlder(
  found: Found,
  { metadata, protocol, domains, metadataLine, protocolLine }: SmallActions,
  version?: number,
  start = 0,
): boolean {
  const placeOf = (line: LineRange | undefined): ActionPlace | undefined =>
    line && version !== undefined ? { version, start: start + line.start, end: start + line.end } : undefined;
  if (metadata && !found.metadata) [found.metadata, found.metadataAt] = [metadata, placeOf(metadataLine)];
  if (protocol && !found.protocol) [found.protocol, found.protocolAt] = [protocol, placeOf(protocolLine)];
  for (const domain of domains) if (!found.domains.has(domain.domain)) found.domains.set(domain.domain, domain);
  return metadata !== undefined || protocol !== undefined || domains.length > 0;
}

/** The places to read: one if both lines are beside each other, as writers write them. */
function joined({ metadata, protocol }: StateOrigins): ActionPlace[] {
  const [start, end] = [Math.min(metadata.start, protocol.start), Math.max(metadata.end, protocol.end)];
  const length = metadata.end - metadata.start + protocol.end - protocol.start;
  if (metadata.version !== protocol.version || end - start > length + MAX_GAP_BYTES) return [metadata, protocol];
  return [{ version: metadata.version, start, end }];
}

const hasDomains = ({ writerFeatures }: ProtocolAction) => writerFeatures?.includes('domainMetadata') ?? false;

function* descending(from: number, to: number): Generator<number> {
  for (let version = from; version >= to; version--) yield version;
}
