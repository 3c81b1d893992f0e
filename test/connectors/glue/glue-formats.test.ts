import type { Table } from '@aws-sdk/client-glue';
import { describe, expect, it } from '@jest/globals';
import { deltaLocation, formatOf, glueFormats } from '../../../src/connectors/glue/glue-formats.ts';

const S3 = 's3://lake/db/t';
/** How Spark registers a table of its catalog with a path of its own (`HiveExternalCatalog`). */
const SPARK: Table = {
  Name: 't',
  TableType: 'EXTERNAL_TABLE',
  Parameters: { EXTERNAL: 'TRUE', 'spark.sql.sources.provider': 'delta', 'spark.sql.partitionProvider': 'catalog' },
  StorageDescriptor: {
    Location: 's3://lake/warehouse/db.db/t-__PLACEHOLDER__',
    InputFormat: 'org.apache.hadoop.mapred.SequenceFileInputFormat',
    SerdeInfo: { Parameters: { path: S3, 'serialization.format': '1' } },
  },
};
/** `CREATE EXTERNAL TABLE … LOCATION … TBLPROPERTIES ('table_type' = 'DELTA')` */
const ATHENA: Table = {
  Name: 't',
  TableType: 'EXTERNAL_TABLE',
  Parameters: { EXTERNAL: 'TRUE', table_type: 'DELTA' },
  StorageDescriptor: { Location: `${S3}/` },
};
const CRAWLER: Table = {
  Name: 't',
  TableType: 'EXTERNAL_TABLE',
  Parameters: { classification: 'delta', UPDATED_BY_CRAWLER: 'c' },
  StorageDescriptor: { Location: `${S3}/`, Parameters: { classification: 'delta' } },
};
const TRINO: Table = {
  Name: 't',
  TableType: 'EXTERNAL_TABLE',
  Parameters: { 'spark.sql.sources.provider': 'DELTA', EXTERNAL: 'TRUE' },
  StorageDescriptor: { Location: S3, SerdeInfo: { Parameters: { path: S3 } } },
};
const UNIFORM: Table = {
  ...TRINO,
  Parameters: { ...TRINO.Parameters, table_type: 'ICEBERG', metadata_location: `${S3}/metadata/v1.metadata.json` },
};

describe('a Delta table in Glue', () => {
  it.each([
    ['Spark', SPARK],
    ['Athena', ATHENA],
    ['a crawler', CRAWLER],
    ['Trino', TRINO],
    ['Spark, with Iceberg metadata beside it', UNIFORM],
  ])('of %s is recognised and found', (_, table) => {
    expect(formatOf(table)).toBe('DELTA');
    expect(deltaLocation(table, 'db.t')).toBe(S3);
  });

  it('needs a location', () => {
    const { Location } = SPARK.StorageDescriptor ?? {};
    for (const StorageDescriptor of [undefined, {}, { Location }]) {
      expect(() => deltaLocation({ ...SPARK, StorageDescriptor }, 'db.t')).toThrow(/table db\.t .* without a location/);
    }
  });
});

describe('another table in Glue', () => {
  const symlink = {
    ...CRAWLER,
    StorageDescriptor: {
      Location: `${S3}/_symlink_format_manifest/`,
      InputFormat: 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat',
    },
  };
  it.each([
    ['an Iceberg table', 'ICEBERG', { Parameters: { table_type: 'ICEBERG' } }],
    ['a symlink manifest', undefined, symlink],
    [
      'a symlink manifest by its format',
      undefined,
      { ...symlink, StorageDescriptor: { ...symlink.StorageDescriptor, Location: S3 } },
    ],
    [
      'a symlink manifest by its folder',
      undefined,
      { ...symlink, StorageDescriptor: { Location: `${S3}/_symlink_format_manifest` } },
    ],
    ['a view on a Delta table', undefined, { ...SPARK, TableType: 'VIRTUAL_VIEW' }],
    ['a Hive table', undefined, { Parameters: { classification: 'parquet' } }],
    ['without parameters', undefined, {}],
  ] as const)('is %s', (_, format, table) => {
    expect(formatOf({ Name: 't', ...table } as Table)).toBe(format);
  });
});

describe('glue.formats', () => {
  it.each([
    [undefined, ['ICEBERG', 'DELTA']],
    ['iceberg', ['ICEBERG']],
    [' Delta ', ['DELTA']],
    ['delta,iceberg', ['DELTA', 'ICEBERG']],
  ])('%s', (text, formats) => {
    expect([...glueFormats(text === undefined ? {} : { 'glue.formats': text })]).toEqual(formats);
  });

  it.each(['hudi', 'iceberg,', 'iceberg;delta'])('%s is refused', (text) => {
    expect(() => glueFormats({ 'glue.formats': text })).toThrow(/^glue\.formats is ".*": give iceberg, delta, or both/);
  });
});
