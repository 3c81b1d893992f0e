import type { Logger } from 'pino';
import type { CodedError } from '../../errors.ts';
import type { DatabaseLock } from '../store/database/database-lock.ts';
import type { DatabaseHealth } from '../store/database/sqlite/health.ts';

const INTERVAL_MS = 1_000;

export interface DatabaseWatch {
  /** Resolves if another process can lock the database. Nothing is written from then on. */
  readonly unlocked: Promise<CodedError>;
  stop(): void;
}

/** Checks each second whether the database is still this service's: its lock, its file, and damage that was noticed meanwhile. */
export function watchDatabase(
  health: DatabaseHealth,
  lock: DatabaseLock,
  { logger, setHealthy }: { logger: Logger; setHealthy(isHealthy: boolean): void },
): DatabaseWatch {
  let known: CodedError | undefined;
  let resolveUnlocked: (reason: CodedError) => void = () => {};
  const unlocked = new Promise<CodedError>((resolve) => {
    resolveUnlocked = resolve;
  });
  // Both checks read only an inode that the kernel has cached.
  const check = () => {
    if (!lock.isHeld()) resolveUnlocked(health.reportUnlocked());
    const refusals = health.takeRefusals();
    if (refusals > 0) logger.warn({ calls: refusals }, 'another process has locked the database, so calls failed');
    const problem = health.checkFile();
    if (problem === known) return;
    known = problem;
    setHealthy(problem === undefined);
    if (problem) logger.error({ code: problem.code }, problem.message);
    else logger.info('the file of the database is back');
  };
  const timer = setInterval(check, INTERVAL_MS);
  check();
  return { unlocked, stop: () => clearInterval(timer) };
}
