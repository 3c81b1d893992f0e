/** Arguments and values whose names are read from the catalog when they are completed. */
export const NAMED: ReadonlySet<string> = new Set(['connector', 'job', 'tenant', 'token']);

/** A shell command that prints the names, one per line. Names with spaces cannot be completed in all shells, and are left out. */
export function namesCommand(argument: string): string {
  return `reconciler completion names ${argument}`;
}
