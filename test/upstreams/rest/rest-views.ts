/** Creates tables and views in a REST catalog, as an engine does (Iceberg's OpenAPI). */
export class RestViews {
  readonly #url: string;
  #ids = 0;

  /** @param prefix the one of the catalog's config, for example `main` */
  constructor(url: string, prefix = '') {
    this.#url = `${url}/v1${prefix && `/${prefix}`}`;
  }

  async namespace(...path: string[]): Promise<void> {
    await this.#call('POST', 'namespaces', { namespace: path });
  }

  async table(namespace: string, name: string): Promise<void> {
    await this.#call('POST', `namespaces/${namespace}/tables`, { name, schema: SCHEMA });
  }

  async dropTable(namespace: string, name: string): Promise<void> {
    await this.#call('DELETE', `namespaces/${namespace}/tables/${name}`);
  }

  /** Creates a view. @param sql by dialect */
  async view(namespace: string, name: string, sql: Record<string, string>, fields: object[] = FIELDS): Promise<void> {
    await this.#call('POST', `namespaces/${namespace}/views`, {
      name,
      schema: { ...SCHEMA, fields },
      'view-version': this.#version(namespace, 0, sql),
      properties: { comment: `of ${name}` },
    });
  }

  /** Replaces a view by a new version with the same schema. */
  async replaceView(namespace: string, name: string, sql: Record<string, string>): Promise<void> {
    const { 'view-uuid': uuid, 'current-version-id': current } = (await this.load(namespace, name)).metadata;
    await this.#call('POST', `namespaces/${namespace}/views/${name}`, {
      requirements: [{ type: 'assert-view-uuid', uuid }],
      updates: [
        { action: 'add-view-version', 'view-version': this.#version(namespace, current + 1, sql) },
        { action: 'set-current-view-version', 'view-version-id': -1 },
      ],
    });
  }

  async setProperty(namespace: string, name: string, key: string, value: string): Promise<void> {
    await this.#call('POST', `namespaces/${namespace}/views/${name}`, {
      updates: [{ action: 'set-properties', updates: { [key]: value } }],
    });
  }

  async renameView(namespace: string, name: string, to: string): Promise<void> {
    const at = namespace.split('.');
    await this.#call('POST', 'views/rename', {
      source: { namespace: at, name },
      destination: { namespace: at, name: to },
    });
  }

  async dropView(namespace: string, name: string): Promise<void> {
    await this.#call('DELETE', `namespaces/${namespace}/views/${name}`);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the server's response, unchecked
  async load(namespace: string, name: string): Promise<any> {
    return this.#call('GET', `namespaces/${namespace}/views/${name}`);
  }

  #version(namespace: string, id: number, sql: Record<string, string>) {
    this.#ids += 1;
    return {
      'version-id': id,
      'schema-id': 0,
      'timestamp-ms': 1_700_000_000_000 + this.#ids,
      summary: { 'engine-name': 'test' },
      'default-namespace': namespace.split('.'),
      'default-catalog': 'lake',
      representations: Object.entries(sql).map(([dialect, text]) => ({ type: 'sql', dialect, sql: text })),
    };
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(`${this.#url}/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

const FIELDS = [
  { id: 0, name: 'id', required: false, type: 'long' },
  {
    id: 1,
    name: 'address',
    required: false,
    type: { type: 'struct', fields: [{ id: 2, name: 'city', required: false, type: 'string' }] },
  },
];
const SCHEMA = { type: 'struct', 'schema-id': 0, fields: FIELDS };
