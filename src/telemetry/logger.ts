import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { withoutSecrets } from '../secrets.ts';
import { escapeInJson } from '../text.ts';
import { terminalLog } from './terminal-log.ts';
import { currentScope } from './tracing/scope.ts';

/**
 * Writes to stdout: readable lines in a terminal, otherwise one JSON object per line with ISO 8601 times in UTC. Each line has the fields of
 * the current scope. Secrets that this process knows are masked.
 *
 * @param destination receives JSON lines instead of stdout; for tests
 */
export function createLogger(name: string, level: string, destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: () => ({ ...currentScope()?.fields }),
    // The SDK logs errors as `error`.
    serializers: { error: stdSerializers.err },
    // Messages of an upstream may contain a secret that it was sent.
    hooks: { streamWrite: (line: string) => escapeInJson(withoutSecrets(line)) },
  };
  const stream = destination ?? (process.stdout.isTTY ? terminalLog() : undefined);
  return stream ? pino(options, stream) : pino(options);
}
