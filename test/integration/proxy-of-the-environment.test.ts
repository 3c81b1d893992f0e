import { expect, it } from '@jest/globals';
import { connectTemporal } from '../../src/temporal/connect.ts';
import { stubEnv, unstubAllEnvs } from '../jest/stub-env.ts';
import { TemporalServer } from './stack/temporal-server.ts';

it('has no part in connections to a Temporal on this machine', async () => {
  await using temporal = await TemporalServer.start();
  stubEnv('TEMPORAL_ADDRESS', temporal.address);
  for (const name of ['http_proxy', 'https_proxy', 'grpc_proxy']) stubEnv(name, 'http://127.0.0.1:9');
  try {
    const { connection } = await connectTemporal();
    expect((await connection.workflowService.getSystemInfo({})).serverVersion).toMatch(/^\d/);
    await connection.close();
  } finally {
    unstubAllEnvs();
  }
});
