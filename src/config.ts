import { homedir, userInfo } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { TENANT_ID } from './contract/tenant.ts';
import { CodedError } from './errors.ts';
import { isSecretReference, REFERENCE_FORM } from './secrets.ts';

/**
 * What is wrong with an address of the form host:port; undefined if nothing is. An IPv6 address is in brackets.
 *
 * @param defaultPort if there is one, the port can be left out
 */
export function addressProblem(text: string, defaultPort?: number): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return 'is a URL: give only host:port, for example 127.0.0.1:7460';
  const match = /^(?:\[[0-9a-f:.]+\]|[^\s/:[\]@]+)(?::(\d+))?$/i.exec(text);
  if (!match) return 'is not host:port, for example 127.0.0.1:7460';
  const [, port] = match;
  if (port === undefined) return defaultPort === undefined ? `is not host:port: the port is missing` : undefined;
  return Number(port) > 65_535 ? `is not host:port: a port is a number up to 65535` : undefined;
}

/** What is wrong with the address of a catalog service: host:port for plaintext, or `https://host:port` for TLS. `http://` is plaintext too. */
export function catalogAddressProblem(text: string): string | undefined {
  const problem = addressProblem(hostPortOf(text));
  return problem?.replace('give only host:port', 'give host:port, or https://host:port for TLS');
}

/** `host:port` of the address of a catalog service, without its scheme. */
export const hostPortOf = (address: string) => address.replace(/^https?:\/\//i, '').replace(/(?<=:\d+)\/$/, '');

/** Whether the catalog service at this address is called with TLS. */
export const isTlsAddress = (address: string) => /^https:/i.test(address);

/** The address as it is shown and compared: `host:port`, or `https://host:port` for TLS. */
export const normalAddress = (address: string) => (isTlsAddress(address) ? 'https://' : '') + hostPortOf(address);

/** Default address of the catalog service. */
export const DEFAULT_ADDRESS = '127.0.0.1:7460';

const hostPort = z.string().superRefine((text, context) => {
  const problem = addressProblem(text);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

const catalogAddress = z
  .string()
  .superRefine((text, context) => {
    const problem = catalogAddressProblem(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  })
  .transform(normalAddress);

const path = z.string().min(1, 'is empty').optional();

const UNIT_MS = { h: 3_600_000, d: 86_400_000 };

/** How long something is kept, in milliseconds; undefined for ever. */
const retention = (byDefault: string) =>
  z
    .string()
    .regex(/^([1-9]\d{0,5}[hd]|0|never)$/, 'is not a number of hours or days, such as 36h or 90d, or never')
    .default(byDefault)
    .transform((text) => {
      const [, amount, unit] = /^(\d+)([hd])$/.exec(text) ?? [];
      return amount === undefined ? undefined : Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
    });

const schema = z.object({
  /** Catalog service: host:port, or https://host:port for TLS. */
  RECONCILER_ADDRESS: catalogAddress.default(DEFAULT_ADDRESS),
  /** The token that is sent to the catalog service. */
  RECONCILER_TOKEN: z
    .string()
    .transform((text) => text.trim())
    .refine(isToken, 'is not a token: it is empty, or has spaces or characters that are not ASCII')
    .optional(),
  /** A file that contains the token. It is read again when it changes. */
  RECONCILER_TOKEN_FILE: path,
  /** A shell command that prints the token. */
  RECONCILER_TOKEN_COMMAND: path,
  /** The tenant of calls. Unset: the only one of the token, or `default`. */
  RECONCILER_TENANT: z
    .string()
    .regex(TENANT_ID, 'is not a tenant: use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter')
    .optional(),
  /** PEM file of the authorities that sign the catalog service's certificate. Unset: those that Node trusts. */
  RECONCILER_CA: path,
  /** PEM files of the certificate and key with which a client identifies itself to the catalog service (mTLS). */
  RECONCILER_CLIENT_CERT: path,
  RECONCILER_CLIENT_KEY: path,
  /** Sends the token without TLS beyond this machine, for networks that encrypt by themselves. */
  RECONCILER_INSECURE_PLAINTEXT: z
    .enum(['0', '1'], 'is not 0 or 1')
    .default('0')
    .transform((text) => text === '1'),
  /** The OpenID provider of `reconciler login`. */
  RECONCILER_LOGIN_ISSUER: z.url('is not a URL').optional(),
  /** The client that `reconciler login` is registered as there. */
  RECONCILER_LOGIN_CLIENT_ID: z.string().min(1, 'is empty').optional(),
  /** Where the process serves `/metrics` to Prometheus, host:port. Unset: metrics are not served. */
  RECONCILER_METRICS_ADDRESS: hostPort.optional(),
  /** Where the process serves `/healthz` and `/readyz`, host:port. Unset: they are not served. */
  RECONCILER_HEALTH_ADDRESS: hostPort.optional(),
  /** Folder for all state of the embedded stack. */
  RECONCILER_DATA_DIR: z.string().min(1).default('.reconciler'),
  /** Folder for what is downloaded once per machine: the Temporal CLI. */
  RECONCILER_CACHE_DIR: z.string().min(1).optional(),
  /** Path of a Temporal CLI to use. */
  RECONCILER_TEMPORAL_CLI: z.string().min(1).optional(),
  /** Base of links into the Temporal UI, for example http://127.0.0.1:8233. */
  RECONCILER_TEMPORAL_UI: z.url().optional(),
  RECONCILER_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Path of the policy of what a worker may do for connectors. Unset: see `workerPolicy`. */
  RECONCILER_WORKER_POLICY: z.string().min(1, 'is empty').optional(),
  /** Folders below which a worker may read local files, separated as in PATH; empty for none. Unset: see `WorkerLimits`. */
  RECONCILER_LOCAL_ROOTS: z
    .string()
    .transform((text) => text.split(delimiter).filter((root) => root !== ''))
    .refine((roots) => roots.every(isAbsolute), 'has a folder that is not an absolute path')
    .optional(),
  /** Keys that encrypt the payloads sent to Temporal: `id=reference,id=reference`. The first encrypts, all decrypt. Unset: no encryption. */
  RECONCILER_CODEC_KEYS: z
    .string()
    .transform((text) => text.split(',').map(codecKey))
    .refine(
      (keys) => keys.every(({ reference }) => isSecretReference(reference)),
      `has a key that is not a reference: write id=${REFERENCE_FORM}, never the key itself`,
    )
    .refine(
      (keys) => keys.every(({ id }) => KEY_ID.test(id)),
      'has a key whose id is not 1 to 64 letters, digits, _, . or -',
    )
    .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, 'has two keys with the same id')
    .optional(),
  /** Temporal's worker deployment, whose versions pin runs to the code that started them. Unset: workers have no version. */
  RECONCILER_DEPLOYMENT: z
    .string()
    .regex(
      /^[^.:\s]{1,200}$/,
      'is not a valid deployment name: use 1 to 200 characters without dots, colons and spaces',
    )
    .optional(),
  /** Version of this worker in its deployment. Unset: the package's version and a hash of the workflow code. */
  RECONCILER_BUILD_ID: z
    .string()
    .regex(/^\S{1,200}$/, 'is not 1 to 200 characters without spaces')
    .optional(),
  /** Time between heartbeats of activities. Each is billed by Temporal Cloud, and a cancellation comes with the next one. */
  RECONCILER_HEARTBEAT_SECONDS: z.coerce.number().min(1, 'is below 1').max(30, 'is above 30').default(10),
  /** How long jobs are kept after they ended. */
  RECONCILER_RETENTION_JOBS: retention('90d'),
  /** How long the reports of jobs, and the changes of dry runs, are kept after they ended. */
  RECONCILER_RETENTION_REPORTS: retention('14d'),
  RECONCILER_RETENTION_IDEMPOTENCY_KEYS: retention('7d'),
  /** How long unfinished snapshots are kept after the last stream was opened for them. */
  RECONCILER_RETENTION_STAGES: retention('7d'),
  /** How long the events of the audit are kept. */
  RECONCILER_RETENTION_AUDIT: retention('400d'),
  /** Which calls are recorded in the audit, besides those that are refused. */
  RECONCILER_AUDIT: z.enum(['writes', 'all'], 'is neither writes nor all').default('writes'),
  /** The catalog's certificate and its key, PEM files. Unset: plaintext. */
  RECONCILER_TLS_CERT: z.string().min(1).optional(),
  RECONCILER_TLS_KEY: z.string().min(1).optional(),
  /** The CA that has signed the certificates of the catalog's clients (mTLS). Unset: clients need none. */
  RECONCILER_TLS_CLIENT_CA: z.string().min(1).optional(),
  /** JSON file of the OpenID providers whose tokens the catalog accepts. */
  RECONCILER_OIDC: z.string().min(1).optional(),
  /** Bearer token that requests for the catalog's `/metrics` must send. Unset: none. */
  RECONCILER_METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{16,}$/, 'is not 16 or more printable ASCII characters without spaces')
    .optional(),
  XDG_CACHE_HOME: z.string().optional(),
  XDG_CONFIG_HOME: z.string().optional(),
});

/** Whether a text can be sent as a token: RFC 6750 allows less, but a server need not follow it. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{1,16384}$/.test(text);
}

/** Settings whose value may contain a secret and is not shown in errors. */
const CONFIDENTIAL = [
  'RECONCILER_CODEC_KEYS',
  'RECONCILER_METRICS_TOKEN',
  'RECONCILER_TOKEN',
  'RECONCILER_TOKEN_COMMAND',
];

const KEY_ID = /^[\w.-]{1,64}$/;

/** A key of the payload codec: its id, which is part of every encrypted payload, and a reference to the key itself. */
export interface CodecKeyReference {
  id: string;
  reference: string;
}

function codecKey(entry: string): CodecKeyReference {
  const [id = '', ...reference] = entry.trim().split('=');
  return { id, reference: reference.join('=') };
}

/** How long the catalog keeps what is no longer needed, in milliseconds. Absent: for ever. */
export interface Retention {
  jobsMs?: number;
  reportsMs?: number;
  idempotencyKeysMs?: number;
  stagesMs?: number;
  auditMs?: number;
}

/** Paths of the catalog's PEM files. */
export interface TlsFiles {
  cert: string;
  key: string;
  /** Clients must present a certificate that one of its certificates has signed. Absent: they need none. */
  clientCa?: string;
}

/** How this process identifies itself to the catalog service. */
export interface Credentials {
  token?: string;
  tokenFile?: string;
  tokenCommand?: string;
  /** Paths of PEM files. */
  ca?: string;
  clientCert?: string;
  clientKey?: string;
  insecurePlaintext: boolean;
}

export interface Config {
  /** The catalog service: host:port, or https://host:port for TLS. */
  address: string;
  credentials: Credentials;
  /** The tenant of calls that name no other. */
  tenant?: string;
  loginIssuer?: string;
  loginClientId?: string;
  /** Folder for what this user's command line keeps: logins. */
  configDir: string;
  metricsAddress?: string;
  healthAddress?: string;
  dataDir: string;
  cacheDir: string;
  temporalCli?: string;
  temporalUi?: string;
  logLevel: string;
  /** Path of RECONCILER_WORKER_POLICY, if it is set. */
  workerPolicy?: string;
  /** Undefined if RECONCILER_LOCAL_ROOTS is not set. */
  localRoots?: string[];
  /** If empty, payloads are not encrypted. */
  codecKeys: CodecKeyReference[];
  /** Undefined if workers have no version. */
  deployment?: string;
  buildId?: string;
  /** Time between heartbeats of activities. */
  heartbeatMs: number;
  retention: Retention;
  audit: 'writes' | 'all';
  tls?: TlsFiles;
  /** Path of the file of OpenID providers. */
  oidcFile?: string;
  metricsToken?: string;
}

/**
 * Reads every setting from the environment. Temporal's own settings (`TEMPORAL_ADDRESS`, profiles, …) are read by @temporalio/envconfig.
 *
 * @throws CodedError INVALID_ARGUMENT that names the variable and what is wrong
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    const setting = CONFIDENTIAL.includes(name) ? name : `${name}=${env[name]}`;
    throw new CodedError('INVALID_ARGUMENT', `${setting} ${issue?.message}. Correct it or unset it.`);
  }
  const settings = parsed.data;
  return {
    address: settings.RECONCILER_ADDRESS,
    credentials: credentialsOf(settings),
    tenant: settings.RECONCILER_TENANT,
    loginIssuer: settings.RECONCILER_LOGIN_ISSUER,
    loginClientId: settings.RECONCILER_LOGIN_CLIENT_ID,
    configDir: join(settings.XDG_CONFIG_HOME || join(home(), '.config'), 'reconciler'),
    metricsAddress: settings.RECONCILER_METRICS_ADDRESS,
    healthAddress: settings.RECONCILER_HEALTH_ADDRESS,
    dataDir: settings.RECONCILER_DATA_DIR,
    cacheDir: settings.RECONCILER_CACHE_DIR ?? join(settings.XDG_CACHE_HOME || join(home(), '.cache'), 'reconciler'),
    temporalCli: settings.RECONCILER_TEMPORAL_CLI,
    temporalUi: settings.RECONCILER_TEMPORAL_UI,
    logLevel: settings.RECONCILER_LOG_LEVEL,
    workerPolicy: settings.RECONCILER_WORKER_POLICY,
    localRoots: settings.RECONCILER_LOCAL_ROOTS,
    codecKeys: settings.RECONCILER_CODEC_KEYS ?? [],
    deployment: settings.RECONCILER_DEPLOYMENT,
    buildId: settings.RECONCILER_BUILD_ID,
    heartbeatMs: settings.RECONCILER_HEARTBEAT_SECONDS * 1000,
    audit: settings.RECONCILER_AUDIT,
    tls: tlsFiles(settings),
    oidcFile: settings.RECONCILER_OIDC,
    metricsToken: settings.RECONCILER_METRICS_TOKEN,
    retention: {
      jobsMs: settings.RECONCILER_RETENTION_JOBS,
      reportsMs: settings.RECONCILER_RETENTION_REPORTS,
      idempotencyKeysMs: settings.RECONCILER_RETENTION_IDEMPOTENCY_KEYS,
      stagesMs: settings.RECONCILER_RETENTION_STAGES,
      auditMs: settings.RECONCILER_RETENTION_AUDIT,
    },
  };
}

/** @throws CodedError INVALID_ARGUMENT if only some of them are set */
function tlsFiles(settings: z.infer<typeof schema>): TlsFiles | undefined {
  const { RECONCILER_TLS_CERT: cert, RECONCILER_TLS_KEY: key, RECONCILER_TLS_CLIENT_CA: clientCa } = settings;
  if (cert !== undefined && key !== undefined) return { cert, key, clientCa };
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  const missing = cert === undefined ? 'RECONCILER_TLS_CERT' : 'RECONCILER_TLS_KEY';
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${missing} is not set, but TLS needs a certificate and its key: set RECONCILER_TLS_CERT and RECONCILER_TLS_KEY, or unset the other settings RECONCILER_TLS_*.`,
  );
}

function credentialsOf(settings: z.infer<typeof schema>): Credentials {
  const { RECONCILER_CLIENT_CERT: clientCert, RECONCILER_CLIENT_KEY: clientKey } = settings;
  if ((clientCert === undefined) !== (clientKey === undefined)) {
    const [set, missing] = clientCert === undefined ? ['KEY', 'CERT'] : ['CERT', 'KEY'];
    throw new CodedError(
      'INVALID_ARGUMENT',
      `RECONCILER_CLIENT_${set} is set, but RECONCILER_CLIENT_${missing} is not. Set both or none.`,
    );
  }
  return {
    token: settings.RECONCILER_TOKEN,
    tokenFile: settings.RECONCILER_TOKEN_FILE,
    tokenCommand: settings.RECONCILER_TOKEN_COMMAND,
    ca: settings.RECONCILER_CA,
    clientCert,
    clientKey,
    insecurePlaintext: settings.RECONCILER_INSECURE_PLAINTEXT,
  };
}

/** The home folder; the system's user database has it if HOME is empty. */
function home(): string {
  return homedir() || userInfo().homedir;
}
