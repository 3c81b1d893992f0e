import { type Logger, pino, stdSerializers } from 'pino';
import { withoutSecrets } from '../secrets.ts';
import { currentScope } from './tracing/scope.ts';

/** Writes JSON lines to stdout, each with the fields of the current scope. Secrets that this process knows are masked. */
export function createLogger(name: string, level: string): Logger {
  return pino({
    name,
    level,
    mixin: () => ({ ...currentScope()?.fields }),
    // The SDK logs errors as `error`.
    serializers: { error: stdSerializers.err },
    // Messages of an upstream may contain a secret that it was sent.
    hooks: { streamWrite: withoutSecrets },
  });
}
