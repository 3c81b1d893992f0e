import type { JsonFields } from '../../formats/json/json-fields.ts';
import { encodeStrictly } from '../rest/resource-paths.ts';
import type { UnityApi } from './unity-api.ts';
import { isUnknownCall } from './unknown-call.ts';

const TABLE = 'GET /v1/catalogs/{catalog}/schemas/{schema}/tables/{table}';
/** The calls of `/delta/v1` that are used here, as its config lists them. */
const ENDPOINTS = { loadTable: TABLE, credentials: `${TABLE}/credentials` } as const;
const PROTOCOL_VERSIONS = '1.0';
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Which calls of the Delta API (`api/delta.yaml`) a server has. Servers that predate it have none. */
export class DeltaEndpoints {
  readonly #api: UnityApi;
  /** By catalog, because the config is requested for one. */
  readonly #configs = new Map<string, Promise<ReadonlySet<string>>>();
  /** Whether the server may have the preview of the API. */
  hasPreview = true;

  constructor(api: UnityApi) {
    this.#api = api;
  }

  async has(catalog: string, endpoint: keyof typeof ENDPOINTS): Promise<boolean> {
    let config = this.#configs.get(catalog);
    if (config === undefined) {
      config = this.#load(catalog);
      this.#configs.set(catalog, config);
      config.catch(() => this.#configs.delete(catalog));
    }
    return (await config).has(ENDPOINTS[endpoint]);
  }

  async #load(catalog: string): Promise<ReadonlySet<string>> {
    const query = `catalog=${encodeStrictly(catalog)}&protocol-versions=${PROTOCOL_VERSIONS}`;
    const endpoints = (fields: JsonFields) => fields.strings('endpoints');
    try {
      return new Set(await this.#api.get(`delta/v1/config?${query}`, MAX_CONFIG_BYTES, 'a config', endpoints));
    } catch (error) {
      if (isUnknownCall(error)) return new Set();
      throw error;
    }
  }
}
