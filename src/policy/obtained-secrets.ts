import { policyTenant } from './policy-tenant.ts';
import { type Grant, governSecret, grantsVersion, inheritGrants } from './secret-grants.ts';

/** What is obtained with a connector's secret, or with an identity of the worker's own: sessions and tokens that several connectors may share. */
export class ObtainedSecrets<Obtained> {
  /** Where the worker's policy allows its own identity to be used: the grants of all tenants that use it. */
  readonly grants = new Set<Grant>();
  readonly #partsOf: (obtained: Obtained) => readonly (string | undefined)[];
  readonly #source: string | undefined;
  /** What was limited last, with which limits of others, and for whom. */
  #limited: [Obtained, version: number, grants: number, tenant: string] | undefined;

  /**
   * @param partsOf the secrets in what is obtained
   * @param source the connector's secret with which it is obtained; absent if that is the worker's
   */
  constructor(partsOf: (obtained: Obtained) => readonly (string | undefined)[], source?: string) {
    this.#partsOf = partsOf;
    this.#source = source;
  }

  /** Limits it to the hosts to which its source may be sent, before each use: tenants and grants may have been added since. */
  limit(obtained: Obtained): Obtained {
    const now = this.#now(obtained);
    if (this.#limited?.every((each, at) => each === now[at])) return obtained;
    for (const part of this.#partsOf(obtained)) {
      if (part === undefined) continue;
      if (this.#source !== undefined) inheritGrants(part, this.#source);
      for (const grant of this.grants) governSecret(part, grant);
    }
    // Limiting it has changed the version.
    this.#limited = this.#now(obtained);
    return obtained;
  }

  #now(obtained: Obtained): [Obtained, version: number, grants: number, tenant: string] {
    return [obtained, grantsVersion(), this.grants.size, policyTenant()];
  }
}
