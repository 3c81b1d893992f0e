import type Sqlite from 'better-sqlite3';

/**
 * What SQLite's planner assumes about the big tables: the number of rows, then how many rows share the first column of the
 * index, the first two, and so on (https://sqlite.org/optoverview.html, "Manual Control Of Query Plans Using SQLITE_STAT
 * Tables").
 *
 * Without statistics it assumes that any first column selects ten rows, and scans whole chains instead of looking up a file.
 * Statistics of the real data would change over time, and the query plans with them. Postgres gathers its own.
 */
const STATISTICS: [table: string, index: string, stat: string][] = [
  ['memberships', 'sqlite_autoindex_memberships_1', '1000000 50000 500 1'],
  ['memberships', 'memberships_live', '1000000 50000 40000 5000 2 1'],
  ['memberships', 'memberships_of_file', '1000000 2 1'],
  ['branch_removals', 'sqlite_autoindex_branch_removals_1', '10000 500 100 1 1 1'],
  ['branch_removals', 'branch_removals_of_file', '10000 1'],
  ['files', 'files_key', '1000000 10000 1 1'],
  ['files', 'files_partition', '20000 200 100 100 5'],
  ['files', 'files_referenced', '20000 200 2'],
  ['files', 'files_variants', '1000 100'],
  ['snapshots', 'sqlite_autoindex_snapshots_1', '100000 100 1 1'],
  ['snapshots', 'sqlite_autoindex_snapshots_2', '100000 50 1'],
  ['snapshots', 'snapshots_published', '100000 100 1'],
  ['snapshots', 'snapshots_base', '100000 100 2'],
  ['snapshots', 'snapshots_unreadable', '100 2'],
  ['tables', 'sqlite_autoindex_tables_1', '100000 1'],
  ['tables', 'sqlite_autoindex_tables_2', '100000 100 1'],
  ['tables', 'tables_contents', '100000 1'],
  // Mostly, all tables are one tenant's.
  ['tables', 'tables_of_tenant', '100000 100000 1'],
];

/** Stores the statistics in the database and loads them into this connection. Call it in a transaction. */
export function setPlannerStatistics(sqlite: Sqlite.Database): void {
  // Creates sqlite_stat1 if it does not exist. Analyzing only the schema table is quick.
  sqlite.exec('analyze sqlite_schema');
  const read = sqlite.prepare('select tbl, idx, stat from sqlite_stat1 order by tbl, idx').raw();
  const desired = STATISTICS.toSorted((a, b) => (`${a[0]} ${a[1]}` < `${b[0]} ${b[1]}` ? -1 : 1));
  if (JSON.stringify(read.all()) === JSON.stringify(desired)) return;
  sqlite.exec('delete from sqlite_stat1');
  const insert = sqlite.prepare('insert into sqlite_stat1 (tbl, idx, stat) values (?, ?, ?)');
  for (const row of desired) insert.run(...row);
  sqlite.exec('analyze sqlite_schema');
}
