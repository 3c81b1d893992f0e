import { statSync } from 'node:fs';
import type { Logger } from 'pino';
import type { DatabaseHealth } from '../store/database/sqlite/health.ts';
import { type QuickCheck, quickCheck } from '../store/database/sqlite/quick-check.ts';

/** The start of the service waits this long for the check, which reads some gigabytes in that time if the disk is fast. */
const WAIT_MS = 10_000;

export interface DatabaseCheck {
  /** Records what the check has found. If it has not ended, records it later. */
  report(health: DatabaseHealth): Promise<void>;
  /** Ends the check if it still runs. */
  stop(): void;
}

/** Checks the file of the database before it is opened. A check that takes long is finished in the background. */
export async function checkDatabase(file: string, logger: Logger): Promise<DatabaseCheck> {
  const bytes = file === ':memory:' ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0);
  if (bytes === 0) return { async report() {}, stop() {} };
  const check = quickCheck(file);
  const hasEnded = await endsInTime(check);
  if (!hasEnded) {
    check.lowerPriority();
    logger.info({ database: file, bytes }, 'the check of the database takes long and continues in the background');
  }
  let stopped = false;
  return {
    async report(health) {
      const reported = check.result.then(
        (found) => {
          if (found !== 'ok') health.reportDamage(found);
        },
        (error: Error) => {
          if (!stopped) logger.warn({ database: file, err: error.message }, 'the database could not be checked');
        },
      );
      if (hasEnded) await reported;
    },
    stop() {
      stopped = true;
      check.stop();
    },
  };
}

async function endsInTime(check: QuickCheck): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), WAIT_MS);
  });
  const ended = check.result.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([ended, late]);
  clearTimeout(timer);
  return inTime;
}
