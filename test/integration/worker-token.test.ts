import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { Role } from '../../src/generated/reconciler/v1/tokens.ts';
import { freePort } from '../../src/stack/ports.ts';
import { waitFor } from '../jest/wait-for.ts';
import { Processes } from './stack/processes.ts';

const LAKEHOUSE = join(import.meta.dirname, '../../samples/lakehouse');
/** A revoked token is refused within ten seconds. */
const TO_BE_REFUSED = { timeout: 30_000, interval: 200 };

let processes: Processes;
let connectorId: string;
/** Secrets of all tokens of this test. */
const secrets: string[] = [];
beforeAll(async () => {
  processes = await Processes.start();
  await processes.startCatalog();
  connectorId = await processes.connect('lake', LAKEHOUSE);
}, 120_000);
afterAll(async () => processes?.[Symbol.asyncDispose]());

async function newToken(role: Role): Promise<{ tokenId: string; secret: string }> {
  const { token, secret } = await processes.catalog.tokens.createToken({ subject: 'worker-1', roles: [role] });
  secrets.push(secret);
  return { tokenId: token?.tokenId ?? '', secret };
}

/** Replaces the token in the file in one step. */
function put(file: string, token: string): void {
  writeFileSync(`${file}.new`, `${token}\n`);
  renameSync(`${file}.new`, file);
}

describe('a worker', () => {
  it('outlives its token: jobs wait until the file has another', async () => {
    const file = join(processes.folder, 'worker-token');
    const first = await newToken(Role.ROLE_WORKER);
    put(file, first.secret);
    const health = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const worker = await processes.startWorker({ RECONCILER_HEALTH_ADDRESS: health }, '--token-file', file);
    const ready = async () => {
      const response = await fetch(`http://${health}/readyz`);
      return { status: response.status, text: await response.text() };
    };
    expect((await processes.ended(await processes.trigger(connectorId))).state).toBe(JobState.JS_SUCCEEDED);
    expect(await ready()).toMatchObject({ status: 200 });

    await processes.catalog.tokens.revokeToken({ tokenId: first.tokenId });
    await waitFor(async () => {
      const { status, text } = await ready();
      expect(status).toBe(503);
      expect(text).toContain('the catalog does not accept the token of this worker');
    }, TO_BE_REFUSED);
    const jobId = await processes.trigger(connectorId);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const waiting = await processes.catalog.connectors.getReconcileJob({ jobId });
    expect([JobState.JS_QUEUED, JobState.JS_RUNNING]).toContain(waiting.state);

    put(file, (await newToken(Role.ROLE_WORKER)).secret);
    expect((await processes.ended(jobId)).state).toBe(JobState.JS_SUCCEEDED);
    expect(await ready()).toMatchObject({ status: 200 });
    expect(worker.exitCode).toBeNull();
    await processes.stop(worker);
  }, 120_000);

  it('does not start with a token that is not accepted, or that has not its role', async () => {
    const file = join(processes.folder, 'other-token');
    const start = async (token: string) => {
      put(file, token);
      const { code, stderr } = await processes.cli(['worker', '--token-file', file]);
      return { code, stderr };
    };
    const unknown = `rct_0000000000000000000000_${'x'.repeat(43)}`;
    secrets.push(unknown);
    expect(await start(unknown)).toEqual({
      code: 1,
      stderr: expect.stringContaining(
        `the catalog service at ${processes.address} does not accept the token of this worker (it is from the file ${file})`,
      ),
    });
    expect(await start((await newToken(Role.ROLE_READER)).secret)).toEqual({
      code: 1,
      stderr: expect.stringContaining(
        `the token of this worker (it is from the file ${file}) is that of 'worker-1', which does not have the role worker`,
      ),
    });
  }, 120_000);

  it('leaves no token in logs and histories', () => {
    expect(secrets).toHaveLength(4);
    for (const name of ['worker.log', 'catalog.log', 'temporal.log']) {
      const text = readFileSync(join(processes.folder, name), 'utf8');
      for (const secret of secrets) expect(text).not.toContain(secret.slice(-43));
    }
    const history = readFileSync(processes.databaseFile);
    for (const secret of secrets) expect(history.includes(secret.slice(-43))).toBe(false);
  });
});
