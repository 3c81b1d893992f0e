import type { Logger } from 'pino';
import type { CatalogDeps } from '../core/ports.ts';
import type { AuditEvent } from '../identity/audit-event.ts';
import { insertAuditEvents } from '../store/database/record-call.ts';
import { write } from '../store/database/transaction.ts';

/** Events of calls per second that change nothing. Whoever calls in a loop with a wrong token must not fill the database. */
const MAX_PER_SECOND = 100;
const FLUSH_MS = 1_000;

/** Events of calls that change nothing in the database: refusals, failed calls, reads, changes in Temporal. They are stored in batches. */
export interface AuditLog {
  /** Stores the event of a change within a second. It is never left out, however many calls are refused. */
  addChange(event: AuditEvent): void;
  /** Stores an event within a second, unless there were too many in this second: then it is only counted, which the log reports. */
  add(event: AuditEvent): void;
  /** Writes an event to the log, for those who collect logs: lines with `audit: true`. */
  print(event: AuditEvent): void;
  /** Stores what is left. */
  stop(): Promise<void>;
}

export function createAuditLog({ db }: Pick<CatalogDeps, 'db'>, logger: Logger): AuditLog {
  let waiting: AuditEvent[] = [];
  let left = MAX_PER_SECOND;
  let leftOut = 0;
  let flushing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    flushing = flushing.then(flush);
  }, FLUSH_MS);
  timer.unref();

  return {
    addChange(event) {
      waiting.push(event);
    },

    add(event) {
      if (left === 0) {
        leftOut += 1;
        return;
      }
      left -= 1;
      waiting.push(event);
    },

    print,

    async stop() {
      clearInterval(timer);
      await flushing;
      await flush();
    },
  };

  function print(event: AuditEvent): void {
    logger.info({ audit: true, ...event, at: new Date(event.at) }, 'audit');
  }

  async function flush(): Promise<void> {
    const events = waiting;
    waiting = [];
    left = MAX_PER_SECOND;
    if (leftOut > 0) {
      const message = `some calls that changed nothing are not recorded: there were more than ${MAX_PER_SECOND} in a second`;
      logger.warn({ audit: true, count: leftOut }, message);
      leftOut = 0;
    }
    if (events.length === 0) return;
    try {
      await write(db, (trx) => insertAuditEvents(trx, events));
    } catch (err) {
      logger.error({ err, count: events.length }, 'events of the audit could not be stored; the log has them');
    }
    for (const event of events) print(event);
  }
}
