import type { Logger } from 'pino';

/** How often the server is probed while it is away. */
const PROBE_MS = 2_000;
/** At most one line per this time reports an outage that lasts, or a next one. */
const REPEAT_MS = 60_000;

export interface OutageLog {
  /**
   * A call found that the server is away. Logs the beginning of an outage; calls during it add nothing.
   *
   * @param reason what went wrong, for people
   * @param probe calls the server: resolves with undefined if it answers, otherwise with the reason. It must not reject
   */
  failed(reason: string, probe: () => Promise<string | undefined>): void;
  stop(): void;
}

/**
 * Logs an outage of a server as one line when it begins, one per minute while it lasts, and one when it is over, however many calls fail in
 * the meantime. Hundreds of equal lines would hide what else happened.
 *
 * @param server its name, for people
 */
export function createOutageLog(logger: Logger, server: string, probeMs = PROBE_MS): OutageLog {
  let timer: NodeJS.Timeout | undefined;
  let since: number | undefined;
  let loggedAt = Number.NEGATIVE_INFINITY;
  let stopped = false;

  return {
    failed(reason, probe) {
      if (stopped || since !== undefined) return;
      since = performance.now();
      report(reason);
      probeLater(probe);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };

  /** The end of an outage is always logged if its beginning was. */
  function report(reason: string): void {
    const now = performance.now();
    if (now - loggedAt < REPEAT_MS) return;
    const isFirst = now === since || loggedAt < (since as number);
    loggedAt = now;
    if (isFirst) logger.warn({ reason }, `${server} cannot be reached; work waits and continues when it is back`);
    else logger.warn({ reason, awayForSeconds: secondsSince(since as number) }, `${server} still cannot be reached`);
  }

  function probeLater(probe: () => Promise<string | undefined>): void {
    timer = setTimeout(async () => {
      const reason = await probe();
      if (stopped) return;
      if (reason === undefined) return over();
      report(reason);
      probeLater(probe);
    }, probeMs).unref();
  }

  function over(): void {
    const started = since as number;
    since = undefined;
    if (loggedAt >= started) logger.info({ awayForSeconds: secondsSince(started) }, `${server} can be reached again`);
  }
}

const secondsSince = (start: number) => Math.round((performance.now() - start) / 1000);
