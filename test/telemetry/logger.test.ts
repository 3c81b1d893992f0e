import { PassThrough } from 'node:stream';
import { expect, it } from '@jest/globals';
import { rememberIssuedSecret } from '../../src/secrets.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { terminalLog } from '../../src/telemetry/terminal-log.ts';
import { inScope } from '../../src/telemetry/tracing/scope.ts';

/** A logger for JSON, or for a terminal without colours, and what it has written. */
function captured(kind: 'json' | 'terminal', level = 'info') {
  const lines: string[] = [];
  const sink = new PassThrough().on('data', (chunk) => lines.push(String(chunk)));
  return {
    logger: createLogger('worker', level, kind === 'json' ? sink : terminalLog(sink)),
    text: () => lines.join(''),
  };
}

it('writes JSON with ISO times and names of levels', () => {
  const { logger, text } = captured('json');
  inScope({ fields: { table: 'sales.orders' } }, () => logger.warn({ job: 'j1' }, 'slow'));
  const line = JSON.parse(text());
  expect(line).toMatchObject({ level: 'warn', name: 'worker', job: 'j1', table: 'sales.orders', msg: 'slow' });
  expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

it('writes one readable line per message in a terminal', () => {
  const { logger, text } = captured('terminal');
  logger.info({ job: 'reconcile-lake-1', tables: ['sales.orders', 'sales.items'], message: 'two words' }, 'ended');
  expect(text()).toMatch(
    /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: ended {2}job=reconcile-lake-1 tables=\["sales.orders","sales.items"\] message="two words"\n$/,
  );
});

it('shows a stack trace in a terminal only for an unexpected error', () => {
  const { logger, text } = captured('terminal');
  logger.warn({ err: new Error('not yet') }, 'retrying');
  expect(text()).toMatch(/^\S+ WARN: retrying {2}err="not yet"\n$/);
  logger.error({ err: new Error('a bug') }, 'call failed');
  expect(text()).toMatch(/ERROR: call failed {2}err="a bug"\n {4}at .*logger\.test\.ts/);
});

it.each(['json', 'terminal'] as const)('masks secrets and escapes control characters: %s', (kind) => {
  const { logger, text } = captured(kind);
  rememberIssuedSecret('hunter2-hunter2');
  logger.info({ reason: 'refused hunter2-hunter2 \u001b[2J\u009b1m\u202e' }, 'with hunter2-hunter2 \u001b[31m');
  expect(text()).not.toContain('hunter2');
  expect(text()).not.toContain('\u001b');
  if (kind === 'terminal') expect(text()).not.toMatch(/[\u009b\u202e]/);
});
