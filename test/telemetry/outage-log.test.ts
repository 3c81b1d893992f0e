import { afterEach, expect, it, jest } from '@jest/globals';
import { pino } from 'pino';
import { createOutageLog } from '../../src/telemetry/outage-log.ts';
import { unreachableReason } from '../../src/telemetry/runtime.ts';
import { fakeOnly } from '../jest/fake-timers.ts';

afterEach(() => void jest.useRealTimers());

/** An outage log with a server whose state a test sets. */
function watched() {
  fakeOnly(['setTimeout', 'clearTimeout', 'performance']);
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const server = { away: undefined as string | undefined };
  const outages = createOutageLog(logger, 'Temporal');
  return { lines, server, outages, failed: () => outages.failed('refused', async () => server.away) };
}

const BEGIN = {
  level: 40,
  reason: 'refused',
  msg: 'Temporal cannot be reached; work waits and continues when it is back',
};

it('logs the beginning and the end of an outage once, however many calls fail', async () => {
  const { lines, server, failed } = watched();
  server.away = 'refused';
  for (let second = 0; second < 30; second++) {
    failed();
    await jest.advanceTimersByTimeAsync(1_000);
  }
  expect(lines).toEqual([BEGIN]);
  server.away = undefined;
  await jest.advanceTimersByTimeAsync(2_000);
  expect(lines.slice(1)).toEqual([{ level: 30, awayForSeconds: 32, msg: 'Temporal can be reached again' }]);
});

it('logs once per minute that an outage lasts, with the latest reason', async () => {
  const { lines, server, failed } = watched();
  server.away = 'no answer in time';
  failed();
  await jest.advanceTimersByTimeAsync(185_000);
  const still = (awayForSeconds: number) => ({
    level: 40,
    reason: 'no answer in time',
    awayForSeconds,
    msg: 'Temporal still cannot be reached',
  });
  expect(lines).toEqual([BEGIN, still(60), still(120), still(180)]);
});

it('logs at most one outage per minute if a server comes and goes, and nothing after it was stopped', async () => {
  const { lines, server, outages, failed } = watched();
  for (let flap = 0; flap < 10; flap++) {
    server.away = 'refused';
    failed();
    await jest.advanceTimersByTimeAsync(3_000);
    server.away = undefined;
    await jest.advanceTimersByTimeAsync(3_000);
  }
  expect(lines.map(({ msg }) => msg)).toEqual([BEGIN.msg, 'Temporal can be reached again']);
  await jest.advanceTimersByTimeAsync(60_000);
  server.away = 'refused';
  failed();
  outages.stop();
  await jest.advanceTimersByTimeAsync(200_000);
  expect(lines).toHaveLength(3);
});

// Lines of the SDK's native part, as it logged them when a dev server was killed, and when one was stopped by a signal.
const REFUSED =
  'Status { code: Unavailable, message: "tcp connect error", source: Some(tonic::transport::Error(Transport, ConnectError(ConnectError("tcp connect error", 127.0.0.1:27311, Os { code: 111, kind: ConnectionRefused, message: "Connection refused" })))) }';
const TIMED_OUT = `code: 'The operation was cancelled', message: "Timeout expired", source: tonic::transport::Error(Transport, TimeoutExpired(()))`;

it('recognises lines of the SDK that report an outage', () => {
  expect(unreachableReason({ sdkComponent: 'core', target: 'temporalio_client::retry', err: REFUSED })).toBe(
    'Connection refused 127.0.0.1:27311',
  );
  expect(unreachableReason({ sdkComponent: 'core', err: TIMED_OUT })).toBe('Timeout expired');
  expect(
    unreachableReason({ sdkComponent: 'core', err: 'Status { code: InvalidArgument, message: "x" }' }),
  ).toBeUndefined();
  expect(unreachableReason({ sdkComponent: 'core', message: 'another line' })).toBeUndefined();
  expect(unreachableReason({ sdkComponent: 'worker', error: new Error('a workflow') })).toBeUndefined();
});
