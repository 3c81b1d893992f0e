import { setTimeout } from 'node:timers/promises';
import { misspelledProperties } from '../connectors/property-names.ts';
import type { TableEntry, UpstreamCatalog } from '../connectors/spi.ts';
import type { WalkCursor } from '../contract/activities.ts';
import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import { CodedError } from '../errors.ts';
import type { TableFormat } from '../formats/table-reader.ts';
import type { Connector } from '../generated/reconciler/v1/connectors.ts';
import { formatName } from '../names.ts';
import { plural, plurals } from '../text.ts';
import { absentNamespace, absentTable, someOf } from './listing/suggest-name.ts';
import { type RefusedNamespace, type Walked, walkFrom, walkTables } from './listing/walk-namespaces.ts';
import { destinationOf, namespaceText, requireNamespace, tableText } from './options/destination.ts';
import { type RunFilter, runFilter } from './options/run-filter.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { kindOf, openUpstreamUncached } from './runtime/open-upstream.ts';
import { readSample, readTable } from './validation/read-sample.ts';
import { whatIsWrong } from './validation/what-is-wrong.ts';

/** Tables that are listed, and those of them that the result names. */
const PAGE = 100;
const SAMPLE = 20;
/** A person waits: an upstream with thousands of namespaces and hardly any table is not listed completely. */
const LISTING_MS = 25_000;
/** For everything: below the 60 s after which the caller reports that no worker responds. */
const ANSWER_TIMEOUT_MS = 45_000;

/**
 * Opens the upstream, lists one page of tables and reads one of them, with its storage, as a job would.
 *
 * @returns what was found and read, or what is wrong
 */
export async function validateConnector(deps: ActivityDeps, request: ValidateRequest): Promise<ValidateResult> {
  const connector = await connectorOf(deps, request);
  const where = connector.uri || 'AWS Glue';
  const misspelled = misspelledText(connector);
  return withHeartbeat(`Validating ${where}`, {}, async (heartbeat) => {
    const state: State = { heartbeat, where, waitsFor: where };
    const timer = new AbortController();
    const result = await validated();
    const ended = misspelled === '' ? result.summary : result.summary.replace(/(?<![.!?])$/, '.');
    return { ...result, summary: ended + misspelled };

    async function validated(): Promise<ValidateResult> {
      try {
        return await Promise.race([
          validate(deps, connector, state),
          setTimeout(ANSWER_TIMEOUT_MS, undefined, { signal: timer.signal }).then(() =>
            wrong(
              `The address does not respond in time: ${state.waitsFor} did not respond within ${ANSWER_TIMEOUT_MS / 1000} s.`,
            ),
          ),
        ]);
      } catch (error) {
        heartbeat.signal.throwIfAborted();
        return wrong(whatIsWrong(error));
      } finally {
        timer.abort();
      }
    }
  });
}

function connectorOf({ catalog }: ActivityDeps, { connectorId, draftId }: ValidateRequest): Promise<Connector> {
  if (connectorId) return catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  if (draftId) return catalog.reconciliation.getConnectorDraft({ draftId });
  throw new CodedError('INVALID_ARGUMENT', 'there is no connectorId and no draftId of a connector to validate');
}

/** Folders with tables of one format are often given to a connector of the other. */
function otherKindText(connector: Connector): string {
  const other = { ICEBERG: 'delta', DELTA: 'iceberg', GLUE: '', UNITY: '' }[kindOf(connector)];
  return other && ` If they are the ones, create a connector of kind ${other}.`;
}

/** Sentences about properties whose names nothing reads; each begins with a space. */
function misspelledText(connector: Connector): string {
  const found = misspelledProperties(kindOf(connector), connector.properties);
  return found.map(({ name, meant }) => ` There is no property ${name}: did you mean ${meant}?`).join('');
}

interface State {
  heartbeat: Heartbeat;
  /** The upstream's address. */
  where: string;
  /** What is being read, for the case that it does not respond. */
  waitsFor: string;
}

async function validate(deps: ActivityDeps, connector: Connector, state: State): Promise<ValidateResult> {
  await using upstream = await openUpstreamUncached(deps, connector);
  const { namespacePath = [], table = '' } = connector.source ?? {};
  if (table !== '') return await validateTable(upstream, { namespace: namespacePath, name: table }, state);
  return await validateTables(upstream, connector, runFilter(connector), state);
}

async function validateTable(upstream: UpstreamCatalog, table: TableRef, state: State): Promise<ValidateResult> {
  state.waitsFor = `table ${tableText(table)}, or its storage,`;
  try {
    const { read } = await readTable(upstream, table);
    return { ok: true, summary: read, sampleTables: [tableText(table)] };
  } catch (error) {
    return wrong((isNotFound(error) && (await absentTable(upstream, table))) || whatIsWrong(error));
  }
}

async function validateTables(
  upstream: UpstreamCatalog,
  connector: Connector,
  filter: RunFilter,
  state: State,
): Promise<ValidateResult> {
  const root = connector.source?.namespacePath ?? [];
  const place = root.length > 0 ? `namespace ${formatName([...root])} of ${state.where}` : state.where;
  let listed: FirstTables;
  try {
    listed = await firstTables(upstream, root, filter, state.heartbeat);
  } catch (error) {
    return wrong((isNotFound(error) && (await absentNamespace(upstream, root))) || whatIsWrong(error));
  }
  const { tables, refused, isComplete, isLong } = listed;
  const leftOut = plurals([listed.tablesFiltered, 'table'], [listed.namespacesFiltered, 'namespace']);
  const others = listed.otherKinds > 0 ? plural(listed.otherKinds, 'table') : undefined;
  if (tables.length === 0 && isLong) {
    const summary = `${place} responds, but its listing is long: no table was found within ${LISTING_MS / 1000} s, so that none was read.`;
    return { ok: true, summary, sampleTables: [] };
  }
  if (tables.length === 0) {
    if (refused[0]) return wrong(whatIsWrong(refused[0].error));
    return wrong(
      leftOut
        ? `The patterns include no table of ${place}: they leave out ${leftOut}. Check them.`
        : others
          ? `No table found in ${place} but ${others} of kinds that are not read.${otherKindText(connector)}`
          : await nothingFound(upstream, root, place),
    );
  }
  const sampleTables = tables.slice(0, SAMPLE).map(tableText);
  const more = isComplete ? '' : ' or more';
  const within = tables.filter(({ namespace }) => namespace.length > 0);
  const namespaces = new Set(within.map(({ namespace }) => JSON.stringify(namespace))).size;
  const inNamespaces = namespaces > 0 ? ` in ${plural(namespaces, 'namespace', more)}` : '';
  const left = `${leftOut ? `, ${leftOut} left out by the patterns` : ''}${others ? `, ${others} of kinds that are not read` : ''}`;
  const found = `${tablesText(tables, more)}${inNamespaces} found in ${place}${left}`;
  state.waitsFor = `${found}, but the storage of the tables`;
  const sample = await readSample(upstream, tables, state.heartbeat);
  if (sample.wrong !== undefined) {
    return { ok: false, summary: `${found}, but none that was tried can be read. ${sample.wrong}`, sampleTables };
  }
  const homeless = withoutNamespace(connector, tables);
  if (homeless !== undefined && within.length === 0) {
    return { ok: false, summary: `${found}. ${whatIsWrong(homeless)}`, sampleTables };
  }
  const closed = refused.map(({ path }) => namespaceText(path)).join(', ');
  const but = closed === '' ? '' : ` ${closed} may not be listed: each will be an error of the job.`;
  const fails = homeless === undefined ? '' : ` One will be an error of the job: ${homeless.message}`;
  return { ok: true, summary: `${found}. ${sample.read}${but}${fails}`, sampleTables };
}

/** Why the first table that is in no namespace cannot be stored; undefined if there is no such table. */
function withoutNamespace(connector: Connector, tables: readonly TableEntry[]): CodedError | undefined {
  try {
    for (const table of tables) requireNamespace(destinationOf(connector, table), table);
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  return undefined;
}

interface FirstTables {
  tables: TableEntry[];
  refused: RefusedNamespace[];
  tablesFiltered: number;
  namespacesFiltered: number;
  /** Objects of kinds that are not read. */
  otherKinds: number;
  isComplete: boolean;
  /** The time for listing is over. */
  isLong: boolean;
}

/** The tables of the first batch that has any. */
async function firstTables(
  upstream: UpstreamCatalog,
  root: NamespacePath,
  filter: RunFilter,
  heartbeat: Heartbeat,
): Promise<FirstTables> {
  const until = Date.now() + LISTING_MS;
  const isOver = () => Date.now() > until;
  const options = {
    filter,
    children: new Map(),
    limit: PAGE,
    onProgress: () => heartbeat.beat(),
    isOver,
    isLastAttempt: true,
  };
  const first: FirstTables = {
    tables: [],
    refused: [],
    tablesFiltered: 0,
    namespacesFiltered: 0,
    otherKinds: 0,
    isComplete: false,
    isLong: false,
  };
  let cursor: WalkCursor | undefined = walkFrom(root);
  // A batch may have only empty namespaces, or only tables that the patterns leave out.
  while (first.tables.length === 0 && cursor && !isOver()) {
    const batch: Walked<TableEntry> = await walkTables(upstream, cursor, options);
    first.tables = batch.items.filter(filter.includes);
    first.tablesFiltered += batch.items.length - first.tables.length;
    first.namespacesFiltered += batch.namespacesLeftOut;
    first.otherKinds += batch.otherKinds;
    first.refused.push(...batch.refused);
    cursor = batch.cursor;
  }
  return { ...first, isComplete: !cursor, isLong: cursor !== undefined && isOver() };
}

async function nothingFound(upstream: UpstreamCatalog, root: NamespacePath, place: string): Promise<string> {
  const absent = await absentNamespace(upstream, root);
  if (absent !== undefined) return absent;
  const { items, nextToken } = await upstream.listNamespaces(root, { size: PAGE });
  const below = someOf(items.map((path) => path.at(-1) ?? ''));
  const namespaces = below ? `its namespaces are ${below}${nextToken ? ', …' : ''}` : 'it has no namespaces';
  return `No table found in ${place}; ${namespaces}. Check the URI and the source namespace.`;
}

const isNotFound = (error: unknown) => error instanceof CodedError && error.code === 'NOT_FOUND';
const wrong = (summary: string): ValidateResult => ({ ok: false, summary, sampleTables: [] });

const FORMATS: Record<TableFormat, string> = { ICEBERG: 'Iceberg', DELTA: 'Delta' };

/** `3 Iceberg tables`, `3 Iceberg and 1 Delta table`. */
function tablesText(tables: readonly TableEntry[], more: string): string {
  const numbers = Object.entries(FORMATS).flatMap(([format, name]) => {
    const n = tables.filter((table) => table.format === format).length;
    return n > 0 ? [{ n, name }] : [];
  });
  const last = numbers.pop();
  const others = numbers.map(({ n, name }) => `${n} ${name} and `).join('');
  return others + plural(last?.n ?? 0, `${last?.name} table`, more);
}
