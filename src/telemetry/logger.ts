import { type Logger, pino, stdSerializers } from 'pino';
import { withoutSecrets } from '../secrets.ts';
import { currentScope } from './tracing/scope.ts';

/** JSON lines on stdout that carry the fields of what is done; no secret that is known in this process gets into one. */
export function createLogger(name: string, level: string): Logger {
  return pino({
    name,
    level,
    mixin: () => ({ ...currentScope()?.fields }),
    // The SDK's lines have their errors under `error`.
    serializers: { error: stdSerializers.err },
    // What an upstream answers may repeat a secret.
    hooks: { streamWrite: withoutSecrets },
  });
}
