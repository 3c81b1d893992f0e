/**
 * Records histories of runs on a REST catalog, one per path of the workflow that only catalogs reach. record.ts does so for directories.
 * npx tsx test/histories/record-catalogs.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { refuse, startFaultProxy } from '../upstreams/fault-proxy.ts';
import { RestViews } from '../upstreams/rest/rest-views.ts';
import { startIcebergRest } from '../upstreams/servers/iceberg-rest.ts';
import { saveHistory } from './save-history.ts';

const folder = mkdtempSync(join(tmpdir(), 'reconciler-histories-'));
await using stack = await RunningStack.start();
await using rest = await startIcebergRest({ warehouse: `file://${folder}` });
await using proxy = await startFaultProxy(rest.url, []);
try {
  const catalog = new RestViews(rest.url);
  for (const namespace of ['open', 'closed']) {
    await catalog.namespace(namespace);
    await catalog.view(namespace, 'v', { spark: 'SELECT 1' });
    // Beyond 20 changed tables, tables are packed.
    for (let i = 0; i < 30; i++) await catalog.table(namespace, `t${i}`);
  }
  const connectorId = await stack.connect('catalog', '', { uri: proxy.url });
  const record = async (name: string) => saveHistory(stack, name, (await stack.trigger(connectorId)).jobId);
  await record('packed-with-views');
  await record('unchanged-with-views');

  await catalog.dropView('open', 'v');
  await catalog.dropTable('open', 't0');
  await record('gone-upstream');

  proxy.rules = [{ path: /\/namespaces\/closed\//, fault: refuse(403, 'ForbiddenException') }];
  await record('refused-namespace');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
