import { setTimeout } from 'node:timers/promises';
import type { TableEntry, UpstreamCatalog } from '../connectors/spi.ts';
import type { ValidateRequest, ValidateResult } from '../contract/job.ts';
import type { NamespacePath, TableRef } from '../contract/upstream-names.ts';
import { CodedError, type CodeName } from '../errors.ts';
import type { TableFormat } from '../formats/table-reader.ts';
import { Connector } from '../generated/reconciler/v1/connectors.ts';
import { type NameFilter, nameFilter } from '../name-patterns.ts';
import { formatName } from '../names.ts';
import { plural } from '../text.ts';
import { absentNamespace, absentTable, someOf } from './listing/suggest-name.ts';
import { type Walked, walkFrom, walkTables } from './listing/walk-namespaces.ts';
import { namespaceText, tableText } from './options/destination.ts';
import type { ActivityDeps } from './runtime/deps.ts';
import { describeError } from './runtime/failures.ts';
import { type Heartbeat, withHeartbeat } from './runtime/heartbeat.ts';
import { openUpstreamUncached } from './runtime/open-upstream.ts';

/** Tables that are listed, and those of them that the result names. */
const PAGE = 100;
const SAMPLE = 20;
/** A person waits: an upstream with thousands of namespaces and hardly any table is not listed completely. */
const LISTING_MS = 25_000;
/** For everything: below the 60 s after which the caller reports that no worker responds. */
const ANSWER_TIMEOUT_MS = 45_000;
/** Tables to open until one can be read. */
const MAX_TRIED = 3;

/**
 * Opens the upstream, lists one page of tables and opens one of them.
 *
 * A broken table is not the connector's fault. A table that may not be read, or whose storage does not respond, is: the same holds for the
 * other tables.
 *
 * @returns what was found, or what is wrong
 */
export async function validateConnector(deps: ActivityDeps, request: ValidateRequest): Promise<ValidateResult> {
  const connector = request.connectorId
    ? await deps.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: request.connectorId } })
    : Connector.fromJSON(JSON.parse(request.connectorJson ?? '{}'));
  const where = connector.uri || 'AWS Glue';
  return withHeartbeat(`Validating ${where}`, {}, async (heartbeat) => {
    const late = wrong(
      `The address does not respond in time: ${where} did not respond within ${ANSWER_TIMEOUT_MS / 1000} s.`,
    );
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
  await using upstream = await openUpstreamUncached(deps, connector);
  const { namespacePath = [], table = '' } = connector.source ?? {};
  if (table !== '') return await validateTable(upstream, { namespace: namespacePath, name: table });
  return await validateTables(upstream, namespacePath, nameFilter(connector.source), where, heartbeat);
}

async function validateTable(upstream: UpstreamCatalog, table: TableRef): Promise<ValidateResult> {
  try {
    await using _ = await upstream.openTable(table);
  } catch (error) {
    return wrong((isNotFound(error) && (await absentTable(upstream, table))) || whatIsWrong(error));
  }
  return { ok: true, summary: `Table ${tableText(table)} is there and can be read.`, sampleTables: [tableText(table)] };
}

async function validateTables(
  upstream: UpstreamCatalog,
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
    // A batch may have only empty namespaces, or only tables that the patterns leave out.
    while (listed.items.length === 0 && listed.cursor) {
      const { refused } = listed;
      const onProgress = () => {
        heartbeat.beat();
        if (Date.now() > until) throw new ListingIsLong();
      };
      listed = await walkTables(upstream, listed.cursor, { limit: PAGE, onProgress, isLastAttempt: true });
      const { items } = listed;
      listed.items = items.filter(filter.includes);
      filtered += items.length - listed.items.length;
      listed.refused = [...refused, ...listed.refused.filter(({ path }) => filter.mayContain(path))];
    }
  } catch (error) {
    if (error instanceof ListingIsLong) {
      const summary = `${place} responds, but its listing is long: after ${LISTING_MS / 1000} s fewer than ${PAGE} tables were found.`;
      return { ok: true, summary, sampleTables: [] };
    }
    return wrong((isNotFound(error) && (await absentNamespace(upstream, root))) || whatIsWrong(error));
  }
  const { items: tables, refused, cursor } = listed;
  if (tables.length === 0) {
    if (filtered > 0 && refused.length === 0) {
      return wrong(`The patterns include none of the ${plural(filtered, 'table')} of ${place}: check them.`);
    }
    return wrong(refused[0] ? whatIsWrong(refused[0].error) : await nothingFound(upstream, root, place));
  }
  const sampleTables = tables.slice(0, SAMPLE).map(tableText);
  const reason = await unreadableReason(upstream, tables.slice(0, MAX_TRIED), heartbeat);
  const namespaces = new Set(tables.map(({ namespace }) => JSON.stringify(namespace))).size;
  const more = cursor ? ' or more' : '';
  const left = filtered > 0 ? `, ${filtered} left out by the patterns` : '';
  const found = `${tablesText(tables, more)} in ${plural(namespaces, 'namespace', more)} found in ${place}${left}`;
  if (reason === undefined) {
    const closed = refused.map(({ path }) => namespaceText(path)).join(', ');
    const but = closed === '' ? '' : ` ${closed} may not be listed: each will be an error of the job.`;
    return { ok: true, summary: `${found}.${but}`, sampleTables };
  }
  return { ok: false, summary: `${found}, but none that was tried can be read. ${reason}`, sampleTables };
}

class ListingIsLong extends Error {}

async function nothingFound(upstream: UpstreamCatalog, root: NamespacePath, place: string): Promise<string> {
  const absent = await absentNamespace(upstream, root);
  if (absent !== undefined) return absent;
  const { items, nextToken } = await upstream.listNamespaces(root, { size: PAGE });
  const below = someOf(items.map((path) => path.at(-1) ?? ''));
  const namespaces = below ? `its namespaces are ${below}${nextToken ? ', …' : ''}` : 'it has no namespaces';
  return `No table found in ${place}; ${namespaces}. Check the URI and the source namespace.`;
}

/** What prevents all of the tables from being read; undefined if one opens, or if the tables themselves are broken. */
async function unreadableReason(
  upstream: UpstreamCatalog,
  tables: TableRef[],
  heartbeat: Heartbeat,
): Promise<string | undefined> {
  let reason: string | undefined;
  for (const table of tables) {
    try {
      await using _ = await upstream.openTable(table);
      return undefined;
    } catch (error) {
      const { code } = describeError(error);
      if (!(error instanceof CodedError) || !ACCESS.has(code)) return undefined;
      reason ??= whatIsWrong(error);
      // The other tables would wait for the same address.
      if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') return reason;
    }
    heartbeat.beat();
  }
  return reason;
}

/** Failures that the table did not cause. */
const ACCESS: ReadonlySet<string> = new Set<CodeName>([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
]);

const WRONG: Partial<Record<string, string>> = {
  UNAUTHENTICATED: 'The credentials are rejected',
  PERMISSION_DENIED: 'A permission is missing',
  UNAVAILABLE: 'The address does not respond',
  DEADLINE_EXCEEDED: 'The address does not respond in time',
  RESOURCE_EXHAUSTED: 'The upstream asks to slow down',
  NOT_FOUND: 'The address or the warehouse does not exist',
  INVALID_ARGUMENT: 'The connector is configured wrongly',
  FAILED_PRECONDITION: 'The connector cannot be opened as it is',
  UNIMPLEMENTED: 'This upstream cannot be read',
};

/** The part of the connector that is wrong, and the error's message. */
function whatIsWrong(error: unknown): string {
  const { code, message } = describeError(error);
  return `${WRONG[code] ?? code}: ${message}`;
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
