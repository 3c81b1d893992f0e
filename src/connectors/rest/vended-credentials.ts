import { CodedError } from '../../errors.ts';
import { hasKeys, OWN_KEYS } from '../../storage/cloud/identity.ts';
import { sameScheme, schemeOf } from '../../storage/location.ts';
import type { VendedCredential } from './loaded-table.ts';
import { ResponseError } from './response-error.ts';

type Properties = VendedCredential['config'];

/** How long before their expiry credentials are renewed, or half of their remaining lifetime if that is less. */
const RENEW_AHEAD_MS = 300_000;
/** Assumed lifetime of session credentials without an expiry. AWS's shortest sessions last 15 minutes. */
const UNKNOWN_LIFETIME_MS = 600_000;
/** How soon a failed renewal is retried while the credentials are still valid. */
const RETRY_RENEWAL_MS = 10_000;

/**
 * Credentials that a catalog vends for one table, renewed for as long as the table is read. Concurrent calls share one renewal.
 */
export class VendedCredentials {
  readonly #load: () => Promise<VendedCredential[]>;
  readonly #hasOthers: (path: string) => boolean;
  #vended: readonly VendedCredential[];
  #renewAt: number;
  #endsAt: number;
  #pending?: Promise<void>;

  /**
   * @param first the credentials that loadTable returned; undefined to load them when they are needed
   * @param load requests new credentials. If it fails with 404, 406 or 501 at first, the catalog has none for this table
   * @param hasOthers whether the connector has credentials of its own for a path that is not covered
   */
  constructor(
    first: readonly VendedCredential[] | undefined,
    load: () => Promise<VendedCredential[]>,
    hasOthers: (path: string) => boolean,
  ) {
    this.#load = load;
    this.#hasOthers = hasOthers;
    this.#vended = first ?? [];
    [this.#renewAt, this.#endsAt] = first === undefined ? [0, 0] : renewalTimes(first);
  }

  /**
   * The properties of the longest prefix of the path; undefined if the catalog vends nothing for it and the connector's own credentials apply.
   * Returns the same object until the credentials are renewed.
   *
   * @param refused properties that it returned before, and that the store refused: if they are still current, they are renewed
   * @throws errors of `load`, unless the old credentials are still valid; CodedError `FAILED_PRECONDITION` if the vended keys are for other paths
   *   and the connector has none: the worker's own must not step in
   */
  async propertiesFor(path: string, refused?: Properties): Promise<Properties | undefined> {
    if (Date.now() >= this.#renewAt) await this.#renew();
    const vended = this.#longest(path);
    if (refused === undefined || vended?.config !== refused) return vended?.config;
    await this.#renew();
    return this.#longest(path)?.config;
  }

  #longest(path: string): VendedCredential | undefined {
    const comparablePath = sameScheme(path);
    let longest: VendedCredential | undefined;
    for (const vended of this.#vended) {
      const fits = comparablePath.startsWith(sameScheme(vended.prefix));
      if (fits && (longest === undefined || vended.prefix.length > longest.prefix.length)) longest = vended;
    }
    const withKeys = this.#vended.filter(({ config }) => hasKeys(config, path));
    if (withKeys.length > 0 && !withKeys.includes(longest as VendedCredential) && !this.#hasOthers(path)) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `the catalog vended no credentials for ${path}, only for ${withKeys.map(({ prefix }) => prefix).join(', ')}, and the worker's own ` +
          'credentials do not step in. Let the catalog vend credentials for all locations of the table, or give the connector its own ' +
          `(${OWN_KEYS[schemeOf(path)]})`,
      );
    }
    return longest;
  }

  #renew(): Promise<void> {
    this.#pending ??= this.#load()
      .then((vended) => {
        this.#vended = vended;
        [this.#renewAt, this.#endsAt] = renewalTimes(vended);
      })
      .catch((error) => {
        if (this.#vended.length === 0 && error instanceof ResponseError && NO_CREDENTIALS_STATUSES.has(error.status)) {
          this.#renewAt = Number.POSITIVE_INFINITY;
          return;
        }
        if (this.#vended.length === 0 || Date.now() >= this.#endsAt) throw error;
        this.#renewAt = Date.now() + RETRY_RENEWAL_MS;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }
}

/** Statuses with which a catalog reports that it vends no credentials for a table. */
const NO_CREDENTIALS_STATUSES: ReadonlySet<number> = new Set([404, 406, 501]);

/** When the first of the credentials is to be renewed and when the first expires, as in `Date.now()`. */
function renewalTimes(vended: readonly VendedCredential[]): [renewAt: number, endsAt: number] {
  const now = Date.now();
  let [renewAt, endsAt] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const { config } of vended) {
    const ends = endOf(config);
    if (ends !== undefined) {
      endsAt = Math.min(endsAt, ends);
      renewAt = Math.min(renewAt, ends - Math.min(RENEW_AHEAD_MS, Math.max(0, ends - now) / 2));
    } else if (config['s3.session-token'] || config['gcs.oauth2.token']) {
      renewAt = Math.min(renewAt, now + UNKNOWN_LIFETIME_MS);
    }
  }
  return [renewAt, endsAt];
}

/**
 * The earliest expiry, from `s3.session-token-expires-at-ms` and similar properties of other stores, or from the SAS tokens themselves; undefined if
 * there is none.
 */
function endOf(config: Readonly<Record<string, string>>): number | undefined {
  const ends = Object.entries(config).flatMap(([key, value]) => {
    if (/expires-at(-ms)?(\.|$)/.test(key)) return /^\d{10,16}$/.test(value) ? [Number(value)] : [];
    const end = /^adls\.sas-token(\.|$)/.test(key)
      ? Date.parse(new URLSearchParams(value).get('se') ?? '')
      : Number.NaN;
    return Number.isNaN(end) ? [] : [end];
  });
  return ends.length === 0 ? undefined : Math.min(...ends);
}
