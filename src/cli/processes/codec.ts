import type { Command } from 'commander';
import { readConfig } from '../../config.ts';
import { isSecretReference, REFERENCE_FORM } from '../../secrets.ts';
import { UsageError } from '../io/errors.ts';
import { port } from '../io/options.ts';
import { untilStopped } from '../io/signals.ts';

const DEFAULT_PORT = 8234;
/** Of the UI that `reconciler up` and Temporal's dev server start. */
const UI_ORIGINS = ['http://127.0.0.1:8233', 'http://localhost:8233'];

const HELP = `
Workers and the catalog service encrypt what they send to Temporal with the keys of RECONCILER_CODEC_KEYS. This serves POST /encode and
/decode with the same keys, so that the Temporal UI and CLI show plain text. Whoever may ask it can read all of that: give it a token
where others reach it, and put TLS before it.

Examples:
  $ RECONCILER_CODEC_KEYS=k1=file:/run/secrets/codec-k1 reconciler codec
  $ temporal workflow show --workflow-id JOB --codec-endpoint http://127.0.0.1:8234
  $ temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8234
  $ reconciler codec --host 0.0.0.0 --allow-origin https://temporal.example.com --token-ref env:CODEC_TOKEN`;

interface CodecOptions {
  host: string;
  port: number;
  allowOrigin?: string[];
  tokenRef?: string;
}

export function define(command: Command): void {
  command
    .description('Decrypts payloads for the Temporal UI and CLI: a codec server.')
    .option('--host <host>', 'listen on this address; others than those of this machine need --token-ref', '127.0.0.1')
    .option('--port <port>', 'and this port', port, DEFAULT_PORT)
    .option(
      '--allow-origin <url>',
      `of a Temporal UI that may ask; repeatable (default: ${UI_ORIGINS.join(', ')})`,
      (url: string, before: string[] = []) => [...before, originOf(url)],
    )
    .option('--token-ref <ref>', `bearer token that every request must bring: ${REFERENCE_FORM}`)
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ host, port, allowOrigin = UI_ORIGINS, tokenRef }: CodecOptions): Promise<void> {
  const { stopped } = untilStopped();
  const { codecKeys } = readConfig();
  if (codecKeys.length === 0) {
    throw new UsageError('RECONCILER_CODEC_KEYS is not set', 'give the keys that workers and the catalog service have');
  }
  if (tokenRef !== undefined && !isSecretReference(tokenRef)) {
    throw new UsageError('--token-ref is no reference', `give ${REFERENCE_FORM}, never the token itself`);
  }
  if (tokenRef === undefined && !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)) {
    throw new UsageError(`--host ${host} needs --token-ref`, 'whoever reaches it could read every payload');
  }
  const [{ openPayloadCodec }, { startCodecEndpoint }, { resolveReference }] = await Promise.all([
    import('../../temporal/payload-codec.ts'),
    import('../../temporal/payload-codec-endpoint.ts'),
    import('../../storage/secret-reference.ts'),
  ]);
  const codec = await openPayloadCodec(codecKeys);
  const token = tokenRef && (await resolveReference(tokenRef, '--token-ref', { processName: 'this process' }));
  const endpoint = await startCodecEndpoint({ codec: codec!, host, port, origins: allowOrigin, token });
  console.log(`codec endpoint   ${endpoint.url}`);
  console.log(`pages of         ${allowOrigin.join(', ')}`);
  await stopped;
  await endpoint.stop();
}

function originOf(url: string): string {
  const { origin } = URL.canParse(url) ? new URL(url) : { origin: 'null' };
  if (origin !== 'null') return origin;
  throw new UsageError(`--allow-origin ${url} is no URL`, 'for example https://temporal.example.com');
}
