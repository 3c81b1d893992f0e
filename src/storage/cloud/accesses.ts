import type { StoreOptions } from '../store-options.ts';
import { hasKeys, overlaid } from './identity.ts';

type Properties = StoreOptions['properties'];

/** How a path is accessed, and the properties that were vended for it. */
export interface Access<A> {
  access: A;
  vended?: Properties;
}

/**
 * Opens the access to an account with one set of properties.
 *
 * @param options.vended the properties that a catalog vended for the path; they are contained in `properties`
 * @param options.own see `StoreOptions`
 */
export type OpenAccess<A> = (
  account: string,
  properties: Properties,
  options: { vended?: Properties; own?: Properties },
) => Promise<A>;

/** What a store refused. */
export interface Refused {
  /** The store said that the credentials are bad, and not only that they may not read the path. */
  isBadCredential: boolean;
  /** Requests new credentials in place of those that were used. @returns whether there are others now */
  renew(): boolean | undefined | Promise<boolean>;
}

/**
 * The accesses of one store: one per set of properties (those that a catalog vends for a path, otherwise the store's own) and account. An access is
 * opened once, and used until the properties change.
 */
export class Accesses<A> {
  readonly #open: OpenAccess<A>;
  readonly #options: Pick<StoreOptions, 'reread' | 'vended' | 'own'>;
  /** With the secrets as they were last read. */
  #properties: Properties;
  #opened = new WeakMap<object, Map<string, Promise<A>>>();

  constructor({ properties, ...options }: Omit<StoreOptions, 'localRoots' | 'usage'>, open: OpenAccess<A>) {
    this.#open = open;
    this.#options = options;
    this.#properties = properties;
  }

  get properties(): Properties {
    return this.#properties;
  }

  /** @param refused properties that were vended before, and that the store refused */
  async of(path: string, account: string, refused?: Properties): Promise<Access<A>> {
    const { own } = this.#options;
    const vended = await this.#options.vended?.(path, refused);
    const identity = vended ?? this.#properties;
    const opened = this.#opened.get(identity) ?? new Map<string, Promise<A>>();
    this.#opened.set(identity, opened);
    let access = opened.get(account);
    if (access === undefined) {
      const properties = vended === undefined ? this.#properties : overlaid(this.#properties, vended);
      access = this.#open(account, properties, { own, ...(vended && { vended }) });
      opened.set(account, access);
      access.catch(() => opened.delete(account));
    }
    return { access: await access, vended };
  }

  /**
   * Looks for other credentials after a refusal: new ones from the catalog if they are vended, otherwise renewed ones, and the connector's own
   * secrets, read again at their source.
   *
   * @returns whether there are others now
   */
  async renewed(path: string, account: string, vended: Properties | undefined, refused: Refused): Promise<boolean> {
    if (vended !== undefined && hasKeys(vended, path)) {
      if (!refused.isBadCredential) return false;
      const next = await this.of(path, account, vended).catch(() => undefined);
      return next !== undefined && next.vended !== vended;
    }
    if (await refused.renew()) return true;
    const before = this.#properties;
    const properties = await this.#options.reread?.(before);
    if (properties === undefined || properties === before) return false;
    this.#properties = properties;
    this.#opened = new WeakMap();
    return true;
  }
}
