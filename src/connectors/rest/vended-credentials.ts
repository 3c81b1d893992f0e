import { AnswerError } from './answer-error.ts';
import type { VendedForPrefix } from './loaded-table.ts';

/** Renewed so long before they end, or after half of their time if that is less. */
const RENEW_AHEAD_MS = 300_000;
/** For session credentials that do not say when they end. The shortest sessions of AWS take 15 minutes. */
const UNKNOWN_LIFETIME_MS = 600_000;
/** After an attempt to renew them that failed while they are still good. */
const RETRY_RENEWAL_MS = 10_000;

const NO_PROPERTIES: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Credentials that a catalog vends for one table, kept good for as long as the table is read. One renewal is under way at a time,
 * whoever waits for it.
 */
export class VendedCredentials {
  readonly #load: () => Promise<VendedForPrefix[]>;
  #vended: readonly VendedForPrefix[];
  #renewAt: number;
  #endsAt: number;
  #pending?: Promise<void>;

  /**
   * @param first what came with the table; undefined to ask when they are needed
   * @param load asks for new ones; where the catalog says that it has none, they are none
   */
  constructor(first: readonly VendedForPrefix[] | undefined, load: () => Promise<VendedForPrefix[]>) {
    this.#load = load;
    this.#vended = first ?? [];
    [this.#renewAt, this.#endsAt] = first === undefined ? [0, 0] : renewalTimes(first);
  }

  /** Properties for the path, by the longest prefix that it has; none if it has none. The same object while it is good. */
  async propertiesFor(path: string): Promise<Readonly<Record<string, string>>> {
    if (Date.now() >= this.#renewAt) await this.#renewed();
    const wanted = sameScheme(path);
    let longest: VendedForPrefix | undefined;
    for (const vended of this.#vended) {
      const fits = wanted.startsWith(sameScheme(vended.prefix));
      if (fits && (longest === undefined || vended.prefix.length > longest.prefix.length)) longest = vended;
    }
    return longest?.config ?? NO_PROPERTIES;
  }

  #renewed(): Promise<void> {
    this.#pending ??= this.#load()
      .then((vended) => {
        this.#vended = vended;
        [this.#renewAt, this.#endsAt] = renewalTimes(vended);
      })
      .catch((error) => {
        if (this.#vended.length === 0 && error instanceof AnswerError && NO_CREDENTIALS_STATUSES.has(error.status)) {
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

/** The catalog has no credentials to give for this table. */
const NO_CREDENTIALS_STATUSES: ReadonlySet<number> = new Set([404, 406, 501]);

/** When the first of them is to be renewed, and when it ends. */
function renewalTimes(vended: readonly VendedForPrefix[]): [renewAt: number, endsAt: number] {
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

/** By `s3.session-token-expires-at-ms` and its like for other stores. */
function endOf(config: Readonly<Record<string, string>>): number | undefined {
  const ends = Object.entries(config)
    .filter(([key, value]) => /expires-at(-ms)?(\.|$)/.test(key) && /^\d{10,16}$/.test(value))
    .map(([, value]) => Number(value));
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function sameScheme(path: string): string {
  return path.replace(/^s3[an](?=:|$)/i, 's3');
}
