import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import { UsageError } from '../io/errors.ts';
import { port } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const DEFAULT_PORT = 8234;
/** Origins of the UI that `reconciler up` and Temporal's dev server start. */
const UI_ORIGINS = ['http://127.0.0.1:8233', 'http://localhost:8233'];

const HELP = `
Workers and the catalog service encrypt what they send to Temporal with the
keys in RECONCILER_CODEC_KEYS. This command serves POST /encode and /decode
with the same keys, so that the Temporal UI and CLI show plain text. Whoever
can call it can read every payload: require a token and put TLS in front of it
if others can reach it.

Examples:
  $ RECONCILER_CODEC_KEYS=k1=file:/run/secrets/codec-k1 reconciler codec
  $ temporal workflow show --workflow-id JOB \\
      --codec-endpoint http://127.0.0.1:8234
  $ temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8234
  $ reconciler codec --host 0.0.0.0 --token-ref env:CODEC_TOKEN \\
      --allow-origin https://temporal.example.com`;

interface CodecOptions {
  host: string;
  port: number;
  allowOrigin?: string[];
  tokenRef?: string;
}

export function define(command: Command): void {
  command
    .description('Runs a codec server, which decrypts payloads for the Temporal UI and CLI.')
    .option('--host <host>', 'listen on this address; any but a loopback address requires --token-ref', '127.0.0.1')
    .option('--port <port>', 'listen on this port', port, DEFAULT_PORT)
    .option(
      '--allow-origin <url>',
      `origin of a Temporal UI that may call it; repeatable (default: ${UI_ORIGINS.join(', ')})`,
      (url: string, before: string[] = []) => [...before, originOf(url)],
    )
    .option('--token-ref <ref>', `bearer token that every request must send: ${REFERENCE_FORM}`)
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ host, port, allowOrigin = UI_ORIGINS, tokenRef }: CodecOptions): Promise<void> {
  const { stopped } = untilStopped();
  const { codecKeys } = readConfig();
  if (codecKeys.length === 0) {
    throw new UsageError(
      'RECONCILER_CODEC_KEYS is not set',
      'set it to the keys of the workers and the catalog service',
    );
  }
  if (tokenRef !== undefined && !isSecretReference(tokenRef)) {
    throw new UsageError('--token-ref is not a reference', `give ${REFERENCE_FORM}, never the token itself`);
  }
  if (tokenRef === undefined && !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)) {
    throw new UsageError(
      `--host ${host} needs --token-ref`,
      'without a token, anyone who can reach it could read every payload',
    );
  }
  const [{ openPayloadCodec }, { startCodecEndpoint }, { resolveOwnReference }] = await Promise.all([
    import('../../temporal/payload-codec.ts'),
    import('../../temporal/payload-codec-endpoint.ts'),
    import('../../storage/secret-reference.ts'),
  ]);
  const codec = await openPayloadCodec(codecKeys);
  const token = tokenRef && (await resolveOwnReference(tokenRef, '--token-ref', 'this process'));
  const endpoint = await startCodecEndpoint({ codec: codec!, host, port, origins: allowOrigin, token });
  console.log(`codec endpoint   ${endpoint.url}`);
  console.log(`allowed origins  ${allowOrigin.join(', ')}`);
  await stopped;
  await endpoint.stop();
}

function originOf(url: string): string {
  const { origin } = URL.canParse(url) ? new URL(url) : { origin: 'null' };
  if (origin !== 'null') return origin;
  throw new UsageError(`--allow-origin ${url} is not a URL`, 'for example https://temporal.example.com');
}
