/** SQLite's result code, such as `SQLITE_BUSY`; undefined for other errors (https://sqlite.org/rescode.html). */
function resultCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined;
}

/** Whether another connection has locked the database. */
export function isLocked(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(resultCode(error) ?? '');
}

/** Whether the file's content is damaged, or is no database. */
export function isDamaged(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(resultCode(error) ?? '');
}

/** Whether the disk is full: SQLite's own code, or the system's if the write-ahead log cannot grow (https://sqlite.org/rescode.html#full). */
export function isDiskFull(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && /^(SQLITE_FULL|SQLITE_IOERR_WRITE|ENOSPC)$/.test(String(error.code))
  );
}
