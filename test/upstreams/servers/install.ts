import { installAzurite } from './azurite.ts';
import { chromium } from './chromium.ts';
import { installFakeGcs } from './fake-gcs.ts';
import { installIcebergRest } from './iceberg-rest.ts';
import { installNessie } from './nessie.ts';
import { otherNode } from './node.ts';
import { prometheusPrograms } from './prometheus.ts';
import { python } from './python.ts';
import { spark } from './spark.ts';
import { installTemporalTestServer } from './temporal-test-server.ts';

/** Jest's global setup: downloads everything before the tests, whose time is limited. */
export default async function install(): Promise<void> {
  await Promise.all([
    ...[python(), installIcebergRest(), installNessie(), installTemporalTestServer()],
    ...[otherNode(), chromium(), prometheusPrograms()],
    ...[installAzurite(), installFakeGcs(), spark()],
  ]);
}
