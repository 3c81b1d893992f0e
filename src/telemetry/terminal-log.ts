import type { Writable } from 'node:stream';
import { PinoPretty, type PrettyOptions } from 'pino-pretty';

/** Keys that a line shows elsewhere, or that do not help whoever sits in front of the process. */
const HIDDEN = new Set(['level', 'time', 'msg', 'name', 'pid', 'hostname']);

/**
 * Formats log lines for people, on stdout: `12:07:03.123 INFO: the job has ended  job=reconcile-lake-… connector=lake`. Colours are those of
 * pino-pretty, which follows NO_COLOR and FORCE_COLOR.
 *
 * @param destination replaces stdout; for tests
 */
export function terminalLog(destination?: Writable): Writable {
  const options: PrettyOptions = {
    // Otherwise the last lines before an exit could be lost.
    sync: true,
    destination: destination ?? 1,
    // Local time of day: the date is known to whoever sits in front of the process.
    translateTime: 'SYS:HH:MM:ss.l',
    customColors: 'message:reset',
    include: 'level,time',
    messageFormat: (log, messageKey, _label, { colors }) => {
      const fields = Object.entries(log).filter(([key, value]) => !HIDDEN.has(key) && value !== undefined);
      const text = fields.map(([key, value]) => `${key}=${textOf(value)}`).join(' ');
      return `${printable(String(log[messageKey] ?? ''))}${text && `  ${colors.gray(text)}`}${stackOf(log)}`;
    },
  };
  return PinoPretty(options) as unknown as Writable;
}

/** A bare word, or JSON. An error is its message. */
function textOf(value: unknown): string {
  const shown = isError(value) ? value.message : value;
  if (typeof shown === 'string' && /^[\w./:@+,-]+$/.test(shown)) return shown;
  return printable(JSON.stringify(shown) ?? String(shown));
}

/** The stack of an unexpected error. Warnings are about errors that the process deals with; their message suffices. */
function stackOf({ level, err, error }: Record<string, unknown>): string {
  const found = err ?? error;
  if ((level !== 'error' && level !== 'fatal' && level !== 'debug') || !isError(found)) return '';
  const frames = (found.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return frames.map((line) => `\n    ${printable(line.trim())}`).join('');
}

const isError = (value: unknown): value is { message: string; stack?: string } =>
  typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;

/** Escapes control and formatting characters, which could change what the terminal shows. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
