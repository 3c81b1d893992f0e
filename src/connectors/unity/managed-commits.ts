import { CodedError } from '../../errors.ts';
import { JsonFields, unexpectedValue } from '../../formats/json/json-fields.ts';
import { parseResponse } from '../rest/parse-response.ts';
import { encodeStrictly } from '../rest/resource-paths.ts';
import { ResponseError } from '../rest/response-error.ts';
import type { DeltaEndpoints } from './delta-endpoints.ts';
import type { UnityApi, UnityName } from './unity-api.ts';
import { isUnknownCall } from './unknown-call.ts';

/** A commit of which the catalog is the authority: `_delta_log/_staged_commits/FILE`, whether or not it has been published too. */
export interface StagedCommit {
  version: number;
  fileName: string;
  size: number;
  modifiedMs: number;
}

/** What the catalog knows of a managed table's log. */
export interface ManagedCommits {
  latestVersion: number;
  commits: StagedCommit[];
}

/** A managed table as the catalog has it now. */
export interface ManagedTable {
  id: string;
  location: string;
  /** Absent if commits do not go through the catalog: then the table's log is all that there is. */
  log?: ManagedCommits;
}

/** The table features with which the catalog is the authority for commits (Delta protocol, "Catalog-managed Tables"), as properties. */
const CATALOG_MANAGED = ['delta.feature.catalogManaged', 'delta.feature.catalogOwned-preview'];
/** A table has at most a few hundred unpublished commits, but its columns come with it. */
const MAX_LOAD_BYTES = 64 * 1024 * 1024;
const MAX_COMMITS_BYTES = 16 * 1024 * 1024;
/** Requests for the commits of one table. A server returns some hundred commits at a time. */
const MAX_COMMIT_PAGES = 1_000;

/**
 * Loads the state of a managed table: by `/delta/v1` (`api/delta.yaml`) if the server has it, otherwise by its older preview.
 *
 * @param listed the table as it was listed
 */
export async function loadManaged(
  api: UnityApi,
  endpoints: DeltaEndpoints,
  name: UnityName,
  listed: { id: string; location: string },
): Promise<ManagedTable> {
  if (await endpoints.has(name.catalog, 'loadTable')) {
    try {
      return await api.get(tablePath(name), MAX_LOAD_BYTES, 'a table as in the OpenAPI', loadedTable);
    } catch (error) {
      // The call serves only some Delta tables, and has this error for the others.
      if (error instanceof ResponseError && error.reported?.type === 'UnsupportedTableFormatException') return listed;
      throw error;
    }
  }
  if (!endpoints.hasPreview) return listed;
  const log = await previewCommits(api, listed).catch((error) => {
    if (isUnknownCall(error)) endpoints.hasPreview = false;
    // 400 is the answer for a table whose commits do not go through the catalog.
    else if (!(error instanceof ResponseError) || error.status !== 400) throw error;
    return undefined;
  });
  if (log === undefined) return listed;
  if (log.latestVersion > 0) return { ...listed, log };
  // No commit has gone through the catalog yet.
  const { properties } = await api.table(name);
  return isCatalogManaged(properties) ? { ...listed, log: { latestVersion: 0, commits: [] } } : listed;
}

export const tablePath = ({ catalog, schema, table }: UnityName) =>
  `delta/v1/catalogs/${encodeStrictly(catalog)}/schemas/${encodeStrictly(schema)}/tables/${encodeStrictly(table)}`;

const isCatalogManaged = (properties: Readonly<Record<string, string>>) =>
  CATALOG_MANAGED.some((name) => properties[name] !== undefined);

function loadedTable(fields: JsonFields): ManagedTable {
  const metadata = fields.object('metadata');
  const table = { id: metadata.string('table-uuid'), location: metadata.string('location') };
  const latestVersion = fields.optionalInteger('latest-table-version');
  if (latestVersion === undefined) return table;
  const commits = fields
    .objects('commits')
    .map((commit) => stagedCommit(commit, 'file-name', 'file-size', 'file-modification-timestamp'));
  // Servers state version 0 also for managed tables that are not catalog-managed. Their published versions count.
  const isManaged = latestVersion > 0 || commits.length > 0 || isCatalogManaged(metadata.stringMap('properties'));
  return isManaged ? { ...table, log: { latestVersion, commits } } : table;
}

/** All commits of the preview's pages, which may come in any order. Their end follows from the latest version alone. */
async function previewCommits(api: UnityApi, table: { id: string; location: string }): Promise<ManagedCommits> {
  const url = `${api.base}/delta/preview/commits`;
  const commits = new Map<number, StagedCommit>();
  let from = 0;
  for (let count = 0; count < MAX_COMMIT_PAGES; count++) {
    const body = { table_id: table.id, table_uri: table.location, start_version: from };
    const response = await api.client.json({ url, json: { method: 'GET', body }, maxBytes: MAX_COMMITS_BYTES });
    using _ = response.memory;
    const page = parseResponse(`GET ${url}`, 'commits', 'DATA_LOSS', () => commitPage(new JsonFields(response.json)));
    for (const commit of page.commits) commits.set(commit.version, commit);
    const last = page.commits.reduce((max, { version }) => Math.max(max, version), -1);
    const { latestVersion } = page;
    if (last >= latestVersion || last < from) return { latestVersion, commits: [...commits.values()] };
    from = last + 1;
  }
  throw new CodedError(
    'FAILED_PRECONDITION',
    `GET ${url} returned more than ${MAX_COMMIT_PAGES} pages of commits of the table at ${table.location}`,
  );
}

function commitPage(fields: JsonFields): ManagedCommits {
  return {
    // -1 if no commit has gone through the catalog.
    latestVersion: fields.optionalInteger('latest_table_version') ?? -1,
    commits: fields
      .objects('commits')
      .map((commit) => stagedCommit(commit, 'file_name', 'file_size', 'file_modification_timestamp')),
  };
}

function stagedCommit(commit: JsonFields, name: string, size: string, modified: string): StagedCommit {
  const fileName = commit.string(name);
  // It becomes part of a path.
  if (/[/\\]/.test(fileName)) throw unexpectedValue(name, 'the name of a file', fileName);
  return {
    version: commit.integer('version'),
    fileName,
    size: commit.integer(size),
    modifiedMs: commit.integer(modified),
  };
}
