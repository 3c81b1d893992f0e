import { resolve } from 'node:path';
import { ALL_TENANTS } from '../contract/tenant.ts';
import { defaultFileRule, entryFileRule, type FileRule } from './file-reference.ts';
import { type Networks, networks } from './networks.ts';
import { fits } from './patterns.ts';
import { POLICY_SETTING, PolicyError } from './policy-error.ts';
import { type Identity, type PolicyFile, readPolicyFile } from './policy-file.ts';
import type { Grant } from './secret-grants.ts';
import { isThisMachine } from './this-machine.ts';

/** What a worker may do for connectors. */
export interface WorkerPolicy {
  /** @throws PolicyError if the worker does nothing for the tenant */
  requireTenant(tenant: string): void;
  /**
   * Where the secret that a reference names may be sent; without a grant, anywhere.
   *
   * @param place where the reference was found, for the error
   * @throws PolicyError if the tenant's connectors may not use it
   */
  secret(reference: string, place: string, tenant: string): { grant?: Grant; fileRule: FileRule };
  /** The same for an identity of the worker's own. */
  identity(name: Identity, tenant: string): { grant?: Grant };
  /** The same for a profile in a file of the worker: of AWS or Databricks. */
  profile(name: string, tenant: string): { grant?: Grant };
  networks: Networks;
  /** Whether warehouse folders may be anywhere on this machine if RECONCILER_LOCAL_ROOTS is not set. */
  allowsLocalFiles: boolean;
}

/** Variables that configure this process, the SDKs that it uses or the machine. */
const PROCESS_VARIABLE = /^env:(RECONCILER_|TEMPORAL_|AWS_|OTEL_|NODE_|PATH$|HOME$)/;

/**
 * The policy of a worker: that of the file, or otherwise the default for the catalog's address.
 *
 * @throws CodedError as `readPolicyFile`
 */
export function workerPolicy(settings: {
  /** The path of the policy. */
  file?: string;
  /** The catalog's address, as in RECONCILER_ADDRESS. */
  address: string;
  dataDir: string;
}): WorkerPolicy {
  const isLocal = isThisMachine(/^https:/i.test(settings.address) ? settings.address : `http://${settings.address}`);
  if (settings.file !== undefined) return policyOf(readPolicyFile(settings.file), isLocal);
  return isLocal ? localPolicy(settings.dataDir) : remotePolicy(settings.address);
}

/**
 * The policy without a file, if the catalog is on this machine: whoever may write connectors may use what the worker has, but nothing that configures the
 * system or the process.
 */
export function localPolicy(dataDir: string): WorkerPolicy {
  const fileRule = defaultFileRule(resolve(dataDir));
  return {
    requireTenant: () => {},
    secret(reference, place) {
      if (!PROCESS_VARIABLE.test(reference)) return { fileRule };
      throw new PolicyError(
        `${place} refers to ${reference}, a variable of the process itself, which no connector may use. Give the secret a variable of its own, or ` +
          `list this one in the worker's policy (${POLICY_SETTING})`,
      );
    },
    identity: () => ({}),
    profile: () => ({}),
    networks: networks({ allow: [], deny: [] }, true),
    allowsLocalFiles: true,
  };
}

/** The policy without a file, if the catalog is elsewhere: nothing of the worker's. */
function remotePolicy(address: string): WorkerPolicy {
  const refused = (what: string): never => {
    throw new PolicyError(
      `${what}: the worker has no policy, and without one it uses no secret and no identity for a catalog on another machine (${address}). Set ` +
        `${POLICY_SETTING} for the worker to a file that lists it`,
    );
  };
  return {
    requireTenant: () => {},
    secret: (reference, place) => refused(`${place} refers to ${reference}`),
    identity: (name) => refused(`the connector uses the worker's own ${NAMES[name]} identity`),
    profile: (name) => refused(`the connector names the profile ${name} of the worker`),
    networks: networks({ allow: [], deny: [] }, false),
    allowsLocalFiles: false,
  };
}

const NAMES: Record<Identity, string> = { aws: 'AWS', azure: 'Azure', google: 'Google', databricks: 'Databricks' };

/** The policy of a file. What it does not list is refused. */
function policyOf(file: PolicyFile, isLocal: boolean): WorkerPolicy {
  const ofTenant = <T extends { tenants: readonly string[] }>(entries: readonly T[], tenant: string): T[] =>
    serves(file.tenants ?? [ALL_TENANTS], tenant) ? entries.filter(({ tenants }) => serves(tenants, tenant)) : [];
  /** One grant for all entries that hold, made once, so that a secret does not collect them. */
  const grants = new Map<string, Grant>();
  const grantOf = (name: string, entries: readonly { hosts: readonly string[] }[]): Grant => {
    const hosts = entries.flatMap((entry) => entry.hosts);
    const key = JSON.stringify([name, hosts]);
    const grant = grants.get(key) ?? { name, hosts };
    grants.set(key, grant);
    return grant;
  };
  const unlisted = (what: string, list: string, tenant: string) =>
    new PolicyError(
      `${what}, which the worker's policy does not list for tenant ${tenant}. Have it added to ${list} in the file of ${POLICY_SETTING}`,
    );
  return {
    requireTenant(tenant) {
      if (serves(file.tenants ?? [ALL_TENANTS], tenant)) return;
      throw new PolicyError(
        `this worker works only for ${file.tenants?.join(', ')}, not for tenant ${tenant}: see tenants in the file of ${POLICY_SETTING}`,
      );
    },
    secret(reference, place, tenant) {
      const plain = reference.replace(/^file:\/\/(?=\/)/, 'file:');
      const id = plain.startsWith('aws-secretsmanager:') ? plain.replace(/#.*$/, '') : plain;
      const isStraight = !/^file:.*\/\.{0,2}(\/|$)/.test(plain);
      // A variable of the process itself is listed by its name: `env:*` is not meant for the worker's own token.
      const mayFit = (ref: string) => ref === plain || !PROCESS_VARIABLE.test(plain);
      const listed = ofTenant(file.secrets, tenant).filter(
        ({ ref }) => mayFit(ref) && (fits(ref, plain) || fits(ref, id)),
      );
      const [entry] = listed;
      if (entry === undefined || !isStraight) throw unlisted(`${place} refers to ${reference}`, 'secrets', tenant);
      return { grant: grantOf(reference, listed), fileRule: entryFileRule(entry.ref.slice('file:'.length)) };
    },
    identity(name, tenant) {
      const listed = ofTenant(file.identities, tenant).filter((entry) => entry.name === name);
      const what = `the worker's own ${NAMES[name]} identity`;
      if (listed.length === 0) throw unlisted(`the connector uses ${what}`, 'identities', tenant);
      return { grant: grantOf(what, listed) };
    },
    profile(name, tenant) {
      const listed = ofTenant(file.profiles, tenant).filter((entry) => entry.name === name);
      if (listed.length === 0) throw unlisted(`the connector names the worker's profile ${name}`, 'profiles', tenant);
      return { grant: grantOf(`the worker's profile ${name}`, listed) };
    },
    networks: networks(file.networks, isLocal),
    allowsLocalFiles: isLocal,
  };
}

function serves(tenants: readonly string[], tenant: string): boolean {
  return tenants.includes(ALL_TENANTS) || tenants.includes(tenant);
}
