import { homedir, userInfo } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { CodedError } from './errors.ts';
import { isSecretReference, REFERENCE_FORM } from './secrets.ts';

/** Address of the catalog service that `reconciler up` uses unless told otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:7460';

const hostPort = z.string().regex(/^[^\s/]+:\d{1,5}$/, 'is not host:port');

const schema = z.object({
  /** Catalog service, host:port. */
  RECONCILER_ADDRESS: hostPort.default(DEFAULT_ADDRESS),
  /** Where the process serves `/metrics` to Prometheus, host:port. Unset: nowhere. */
  RECONCILER_METRICS_ADDRESS: hostPort.optional(),
  /** Where it serves `/healthz` and `/readyz`, host:port. Unset: nowhere. */
  RECONCILER_HEALTH_ADDRESS: hostPort.optional(),
  /** Everything the embedded stack keeps. */
  RECONCILER_DATA_DIR: z.string().min(1).default('.reconciler'),
  /** What is downloaded once a machine: the Temporal CLI. */
  RECONCILER_CACHE_DIR: z.string().min(1).optional(),
  /** Path of a Temporal CLI to use. */
  RECONCILER_TEMPORAL_CLI: z.string().min(1).optional(),
  /** Base of links into the Temporal UI, for example http://127.0.0.1:8233. */
  RECONCILER_TEMPORAL_UI: z.url().optional(),
  RECONCILER_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Folders below which a worker may read local files, separated as in PATH; empty for none. Unset: see docs/operations.md. */
  RECONCILER_LOCAL_ROOTS: z
    .string()
    .transform((text) => text.split(delimiter).filter((root) => root !== ''))
    .refine((roots) => roots.every(isAbsolute), 'has a folder that is not an absolute path')
    .optional(),
  /** Keys that encrypt what goes to Temporal: `id=reference,id=reference`. The first encrypts, all decrypt. Unset: nothing is encrypted. */
  RECONCILER_CODEC_KEYS: z
    .string()
    .transform((text) => text.split(',').map(codecKey))
    .refine(
      (keys) => keys.every(({ reference }) => isSecretReference(reference)),
      `has a key that is no reference: give id=${REFERENCE_FORM}, never the key itself`,
    )
    .refine((keys) => keys.every(({ id }) => KEY_ID.test(id)), 'has a key whose id is not letters, digits, _, . or -')
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'has two keys with the same id')
    .optional(),
  /** Name of the worker deployment in Temporal whose versions pin runs to the code that began them. Unset: workers have no version. */
  RECONCILER_DEPLOYMENT: z
    .string()
    .regex(/^[^.:\s]{1,200}$/, 'is no name of a deployment: at most 200 characters without dots, colons and spaces')
    .optional(),
  /** The version of this worker in its deployment. Unset: of this package and its workflows' code. */
  RECONCILER_BUILD_ID: z
    .string()
    .regex(/^\S{1,200}$/, 'is not 1 to 200 characters without spaces')
    .optional(),
  XDG_CACHE_HOME: z.string().optional(),
});

/** Values that may be, or hold, what should not be repeated. */
const CONFIDENTIAL = ['RECONCILER_CODEC_KEYS'];

const KEY_ID = /^[\w.-]{1,64}$/;

/** A key of the payload codec: its id, which stands in every payload, and where the key itself is found. */
export interface CodecKeyReference {
  id: string;
  reference: string;
}

function codecKey(entry: string): CodecKeyReference {
  const [id = '', ...reference] = entry.trim().split('=');
  return { id, reference: reference.join('=') };
}

export interface Config {
  address: string;
  metricsAddress?: string;
  healthAddress?: string;
  dataDir: string;
  cacheDir: string;
  temporalCli?: string;
  temporalUi?: string;
  logLevel: string;
  /** Undefined where the setting is. */
  localRoots?: string[];
  /** Empty: payloads are not encrypted. */
  codecKeys: CodecKeyReference[];
  /** Of workers; undefined where they have no version. */
  deployment?: string;
  buildId?: string;
}

/**
 * Every setting, from the environment. Temporal's own (`TEMPORAL_ADDRESS`, profiles, …) are read by @temporalio/envconfig.
 *
 * @throws CodedError INVALID_ARGUMENT that names the variable.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    const shown = CONFIDENTIAL.includes(name) ? name : `${name}=${env[name]}`;
    throw new CodedError('INVALID_ARGUMENT', `${shown} ${issue?.message}. Set it right or unset it.`);
  }
  const v = parsed.data;
  return {
    address: v.RECONCILER_ADDRESS,
    metricsAddress: v.RECONCILER_METRICS_ADDRESS,
    healthAddress: v.RECONCILER_HEALTH_ADDRESS,
    dataDir: v.RECONCILER_DATA_DIR,
    cacheDir: v.RECONCILER_CACHE_DIR ?? join(v.XDG_CACHE_HOME || join(home(), '.cache'), 'reconciler'),
    temporalCli: v.RECONCILER_TEMPORAL_CLI,
    temporalUi: v.RECONCILER_TEMPORAL_UI,
    logLevel: v.RECONCILER_LOG_LEVEL,
    localRoots: v.RECONCILER_LOCAL_ROOTS,
    codecKeys: v.RECONCILER_CODEC_KEYS ?? [],
    deployment: v.RECONCILER_DEPLOYMENT,
    buildId: v.RECONCILER_BUILD_ID,
  };
}

/** With an empty HOME the system's own record is asked. */
function home(): string {
  return homedir() || userInfo().homedir;
}
