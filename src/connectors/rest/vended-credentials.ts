import type { VendedCredential } from './loaded-table.ts';
import { ResponseError } from './response-error.ts';

/** How long before their expiry credentials are renewed, or half of their remaining lifetime if that is less. */
const RENEW_AHEAD_MS = 300_000;
/** Assumed lifetime of session credentials without an expiry. AWS's shortest sessions last 15 minutes. */
const UNKNOWN_LIFETIME_MS = 600_000;
/** How soon a failed renewal is retried while the credentials are still valid. */
const RETRY_RENEWAL_MS = 10_000;

const NO_PROPERTIES: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Credentials that a catalog vends for one table, renewed for as long as the table is read. Concurrent calls share one renewal.
 */
export class VendedCredentials {
  readonly #load: () => Promise<VendedCredential[]>;
  #vended: readonly VendedCredential[];
  #renewAt: number;
  #endsAt: number;
  #pending?: Promise<void>;

  /**
   * @param first the credentials that loadTable returned; undefined to load them when they are needed
   * @param load requests new credentials. If it fails with 404, 406 or 501 at first, the catalog has none for this table
   */
  constructor(first: readonly VendedCredential[] | undefined, load: () => Promise<VendedCredential[]>) {
    this.#load = load;
    this.#vended = first ?? [];
    [this.#renewAt, this.#endsAt] = first === undefined ? [0, 0] : renewalTimes(first);
  }

  /**
   * The properties of the longest prefix of the path; empty if no prefix matches. Returns the same object until the credentials are renewed.
   *
   * @throws errors of `load`, unless the old credentials are still valid
   */
  async propertiesFor(path: string): Promise<Readonly<Record<string, string>>> {
    if (Date.now() >= this.#renewAt) await this.#renew();
    const comparablePath = sameScheme(path);
    let longest: VendedCredential | undefined;
    for (const vended of this.#vended) {
      const fits = comparablePath.startsWith(sameScheme(vended.prefix));
      if (fits && (longest === undefined || vended.prefix.length > longest.prefix.length)) longest = vended;
    }
    return longest?.config ?? NO_PROPERTIES;
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
    } else if (config['s3.session-token']) {
      renewAt = Math.min(renewAt, now + UNKNOWN_LIFETIME_MS);
    }
  }
  return [renewAt, endsAt];
}

/** The earliest expiry, from `s3.session-token-expires-at-ms` and similar properties of other stores; undefined if there is none. */
function endOf(config: Readonly<Record<string, string>>): number | undefined {
  const ends = Object.entries(config)
    .filter(([key, value]) => /expires-at(-ms)?(\.|$)/.test(key) && /^\d{10,16}$/.test(value))
    .map(([, value]) => Number(value));
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/** Replaces the schemes `s3a` and `s3n` with `s3`. */
function sameScheme(path: string): string {
  return path.replace(/^s3[an](?=:|$)/i, 's3');
}
