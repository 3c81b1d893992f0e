import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatName } from '../../../src/names.ts';
import type { CleanUp } from '../clean-up.ts';
import { fixtureTables, publishFixtures } from '../publish-fixtures.ts';
import { startIcebergRest } from '../servers/iceberg-rest.ts';
import { startMoto } from '../servers/moto.ts';

/** Starts a REST catalog on moto's S3 with the tables fx.orders and fx.refs. `cleanUp` stops it. */
export async function startS3Lake(cleanUp: CleanUp) {
  const folder = mkdtempSync(join(tmpdir(), 'reconciler-lake-'));
  cleanUp.defer(() => rmSync(folder, { recursive: true }));
  const moto = cleanUp.use(await startMoto());
  await moto.createBucket('lake');
  const rest = cleanUp.use(await startIcebergRest({ warehouse: 's3://lake/warehouse', s3: moto }));
  const tables = fixtureTables().filter(({ path }) => /^fx\.(orders|refs)$/.test(formatName(path)));
  await publishFixtures(rest.url, { folder, bucket: { moto, name: 'lake' } }, tables);
  return { rest, moto };
}
