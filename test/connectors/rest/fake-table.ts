/** Table metadata with one snapshot, whose manifest list may be outside of the table's location. */
export function tableMetadata(location: string, manifestList: string, more: object = {}) {
  return {
    'format-version': 2,
    'table-uuid': '7f1b5e7b-1f18-4f62-8214-576f9f29d990',
    location,
    'last-sequence-number': 1,
    'last-updated-ms': 1_795_443_818_499,
    'last-column-id': 1,
    schemas: [{ type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: false, type: 'long' }] }],
    'current-schema-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    'default-spec-id': 0,
    'current-snapshot-id': 7,
    snapshots: [
      {
        'snapshot-id': 7,
        'sequence-number': 1,
        'timestamp-ms': 1_795_443_818_470,
        summary: { operation: 'append' },
        'manifest-list': manifestList,
        'schema-id': 0,
      },
    ],
    refs: { main: { 'snapshot-id': 7, type: 'branch' }, old: { 'snapshot-id': 6, type: 'tag' } },
    ...more,
  };
}

export const TABLE = { namespace: ['a'], name: 't' };
export const TABLE_PATH = '/v1/namespaces/a/tables/t';
