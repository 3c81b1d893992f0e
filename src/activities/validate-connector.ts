import { setTimeout } from 'node:timers/promises';
import type { TableEntry, UpstreamCatalog } from '../connectors/spi.ts';
import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import { CodedError, type CodeName } from '../errors.ts';
import { Connector } from '../generated/reconciler/v1/connectors.ts';
import { type NameFilter, nameFilter } from '../name-patterns.ts';
import { formatName } from '../names.ts';
import { absentNamespace, absentTable, someOf } from './listing/suggest-name.ts';
import { type Walked, walkFrom, walkTables } from './listing/walk-namespaces.ts';
import { namespaceText, tableText } from './options/destination.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError } from './runtime/failures.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { openSourceFresh } from './runtime/open-upstream.ts';

/** Tables looked for, and of them those that the answer names. */
const PAGE = 100;
const SAMPLE = 20;
/** Somebody waits: an upstream with thousands of namespaces and hardly a table is not gone through to its end. */
const LISTING_MS = 25_000;
/** All of it: below the 60 s after which the one who waits is told that there is no worker. */
const ANSWER_TIMEOUT_MS = 45_000;
/** Tables of which one must open. */
const TRIED = 3;

/**
 * Opens the upstream, lists one page of tables and opens one of them; says what it found or what is wrong.
 *
 * A broken table is no fault of the connector; one that may not be read, or whose storage does not answer, is: then so are the others.
 */
export async function validateConnector(deps: ActivityDeps, request: ValidateRequest): Promise<ValidateResult> {
  const connector = request.connectorId
    ? await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: request.connectorId } })
    : Connector.fromJSON(JSON.parse(request.connectorJson ?? '{}'));
  const where = connector.uri || 'AWS Glue';
  return withHeartbeat(`Validating ${where}`, async (heartbeat) => {
    const late = wrong(`The address does not answer in time: ${where} was asked for ${ANSWER_TIMEOUT_MS / 1000} s.`);
    const timer = new AbortController();
    try {
      return await Promise.race([
        validate(deps, connector, where, heartbeat),
        setTimeout(ANSWER_TIMEOUT_MS, late, { signal: timer.signal }),
      ]);
    } catch (error) {
      heartbeat.signal.throwIfAborted();
      return wrong(whatIsWrong(error));
    } finally {
      timer.abort();
    }
  });
}

async function validate(
  deps: ActivityDeps,
  connector: Connector,
  where: string,
  heartbeat: Heartbeat,
): Promise<ValidateResult> {
  await using source = await openSourceFresh(deps, connector);
  const { namespacePath = [], table = '' } = connector.source ?? {};
  if (table !== '') return await validateTable(source, { namespace: namespacePath, name: table });
  return await validateTables(source, namespacePath, nameFilter(connector.source), where, heartbeat);
}

async function validateTable(source: UpstreamCatalog, table: TableRef): Promise<ValidateResult> {
  try {
    await using _ = await source.openTable(table);
  } catch (error) {
    return wrong((isNotFound(error) && (await absentTable(source, table))) || whatIsWrong(error));
  }
  return { ok: true, summary: `Table ${tableText(table)} is there and can be read.`, sampleTables: [tableText(table)] };
}

async function validateTables(
  source: UpstreamCatalog,
  root: NamespacePath,
  filter: NameFilter,
  where: string,
  heartbeat: Heartbeat,
): Promise<ValidateResult> {
  const place = root.length > 0 ? `namespace ${formatName([...root])} of ${where}` : where;
  const until = Date.now() + LISTING_MS;
  let listed: Walked<TableEntry>;
  let filtered = 0;
  try {
    listed = { items: [], refused: [], cursor: walkFrom(root) };
    // A stretch of a walk may be all empty namespaces, or all that the patterns leave out.
    while (listed.items.length === 0 && listed.cursor) {
      const { refused } = listed;
      listed = await walkTables(source, listed.cursor, PAGE, () => {
        heartbeat.beat();
        if (Date.now() > until) throw new ListingIsLong();
      });
      const { items } = listed;
      listed.items = items.filter(filter.includes);
      filtered += items.length - listed.items.length;
      listed.refused = [...refused, ...listed.refused.filter(({ path }) => filter.mayContain(path))];
    }
  } catch (error) {
    if (error instanceof ListingIsLong) {
      const summary = `${place} answers, but its listing is long: after ${LISTING_MS / 1000} s fewer than ${PAGE} tables were found.`;
      return { ok: true, summary, sampleTables: [] };
    }
    return wrong((isNotFound(error) && (await absentNamespace(source, root))) || whatIsWrong(error));
  }
  const { items: tables, refused, cursor } = listed;
  if (tables.length === 0) {
    if (filtered > 0 && refused.length === 0) {
      return wrong(
        `The patterns take none of the ${count(filtered, 'table', '')} of ${place}: check what they include and exclude.`,
      );
    }
    return wrong(refused[0] ? whatIsWrong(refused[0].error) : await nothingFound(source, root, place));
  }
  const sampleTables = tables.slice(0, SAMPLE).map(tableText);
  const unreadable = await whyUnreadable(source, tables.slice(0, TRIED), heartbeat);
  const namespaces = new Set(tables.map(({ namespace }) => JSON.stringify(namespace))).size;
  const more = cursor ? ' or more' : '';
  const left = filtered > 0 ? `, ${filtered} left out by the patterns` : '';
  const found = `${count(tables.length, 'table', more)} in ${count(namespaces, 'namespace', more)} found in ${place}${left}`;
  if (unreadable === undefined) {
    const closed = refused.map(({ path }) => namespaceText(path)).join(', ');
    const but = closed === '' ? '' : ` ${closed} may not be listed: each will be an error of the job.`;
    return { ok: true, summary: `${found}.${but}`, sampleTables };
  }
  return { ok: false, summary: `${found}, but none that was tried can be read. ${unreadable}`, sampleTables };
}

class ListingIsLong extends Error {}

async function nothingFound(source: UpstreamCatalog, root: NamespacePath, place: string): Promise<string> {
  const absent = await absentNamespace(source, root);
  if (absent !== undefined) return absent;
  const { items, nextToken } = await source.listNamespaces(root, { size: PAGE });
  const below = someOf(items.map((path) => path.at(-1) ?? ''));
  const namespaces = below ? `its namespaces are ${below}${nextToken ? ', …' : ''}` : 'it has no namespaces';
  return `No ${source.format === 'DELTA' ? 'Delta' : 'Iceberg'} table found in ${place}; ${namespaces}. Check the URI and the source namespace.`;
}

/** What keeps all of the tables from being read; undefined if one opens, or where it is the tables themselves that are broken. */
async function whyUnreadable(
  source: UpstreamCatalog,
  tables: TableRef[],
  heartbeat: Heartbeat,
): Promise<string | undefined> {
  let why: string | undefined;
  for (const table of tables) {
    try {
      await using _ = await source.openTable(table);
      return undefined;
    } catch (error) {
      const { code } = describeError(error);
      if (!(error instanceof CodedError) || !ACCESS.has(code)) return undefined;
      why ??= whatIsWrong(error);
      // The same address would be waited for again.
      if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') return why;
    }
    heartbeat.beat();
  }
  return why;
}

/** Failures of which the table is not the cause. */
const ACCESS: ReadonlySet<string> = new Set<CodeName>([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
]);

const WRONG: Partial<Record<string, string>> = {
  UNAUTHENTICATED: 'The credentials are not taken',
  PERMISSION_DENIED: 'A permission is missing',
  UNAVAILABLE: 'The address does not answer',
  DEADLINE_EXCEEDED: 'The address does not answer in time',
  RESOURCE_EXHAUSTED: 'The upstream asks to slow down',
  NOT_FOUND: 'The address or the warehouse is not there',
  INVALID_ARGUMENT: 'The connector is not set right',
  FAILED_PRECONDITION: 'The connector cannot be opened as it is',
  UNIMPLEMENTED: 'This upstream cannot be read',
};

/** Which part of the connector it is, and the message. */
function whatIsWrong(error: unknown): string {
  const { code, message } = describeError(error);
  return `${WRONG[code] ?? code}: ${message}`;
}

const isNotFound = (error: unknown) => error instanceof CodedError && error.code === 'NOT_FOUND';
const wrong = (summary: string): ValidateResult => ({ ok: false, summary, sampleTables: [] });
const count = (n: number, what: string, more: string) => `${n}${more} ${what}${n === 1 && !more ? '' : 's'}`;
