import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { waitFor } from '../jest/wait-for.ts';
import { Processes } from './stack/processes.ts';

const LAKEHOUSE = join(import.meta.dirname, '../../samples/lakehouse');
const TO_BE_WRITTEN = { timeout: 60_000 };

let processes: Processes;
beforeAll(async () => {
  processes = await Processes.start();
  await processes.startCatalog();
  await processes.connect('lake', LAKEHOUSE);
}, 120_000);
afterAll(async () => processes?.[Symbol.asyncDispose]());

/** Writers name folders by the readable forms of the partition values. */
async function partitionsAreReadable(): Promise<void> {
  const { stdout } = await processes.cli(['plan', 'get', 'lake.nyc.flights', '--json']);
  const files = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(files.length).toBeGreaterThan(1);
  for (const { filePath, partition } of files) {
    const [{ name, text, readable }] = partition;
    expect(readable).toMatch(/^2013-\d\d$/);
    expect(filePath).toContain(`/${name}=${readable}/`);
    // The raw value counts months since 1970.
    expect(Number(text)).toBe((2013 - 1970) * 12 + Number(readable.slice(5)) - 1);
  }
}

it('a validation that no worker takes ends at once, and reports how to start a worker', async () => {
  const { code, stderr } = await processes.cli(['connector', 'validate', 'lake']);
  // The command has the form in which it works on this machine.
  expect(stderr).toMatch(
    /^error: The connector was not validated: no worker polls task queue 'reconciler'\. Start one with `\S*( \S+)? worker`\.\n$/,
  );
  expect(code).toBe(3);
  // Nothing is left for a worker that starts later.
  const { stdout } = await processes.temporalCli('workflow', 'list', '--query', 'WorkflowType = "validateConnector"');
  expect(stdout).toMatch(/Terminated/);
}, 120_000);

it('a job that is waited for reports that no worker polls, that Temporal is away, and then its progress', async () => {
  const waiting = processes.startCli(['connector', 'trigger', 'lake', '--wait']);
  const reports = (pattern: RegExp) => waitFor(() => expect(waiting.stderr()).toMatch(pattern), TO_BE_WRITTEN);
  await reports(
    /^queued: waiting since \d\d:\d\d UTC: no worker polls task queue 'reconciler'\. Start one with `\S*( \S+)? worker`/m,
  );
  await processes.stop(processes.temporalProcess);
  await reports(
    /^queued: Temporal cannot be reached since \d\d:\d\d:\d\d UTC; the job continues when it answers again/m,
  );
  processes.startTemporal();
  const recovered = waiting.stderr().length;
  await waitFor(() => expect(waiting.stderr().slice(recovered)).toMatch(/no worker polls/), TO_BE_WRITTEN);
  const worker = await processes.startWorker();
  const { code, stdout } = await waiting.ended;
  expect(stdout).toMatch(/^state +succeeded$/m);
  expect(code).toBe(0);
  await partitionsAreReadable();

  // A worker that was killed is listed by Temporal for some time, but takes nothing.
  await processes.stop(worker, 'SIGKILL');
  const next = processes.startCli(['connector', 'trigger', 'lake', '--wait']);
  await waitFor(
    () =>
      expect(next.stderr()).toMatch(/no worker has taken a step of the job: all are busy, or none polls task queue/),
    TO_BE_WRITTEN,
  );
  await processes.startWorker();
  expect((await next.ended).code).toBe(0);
}, 300_000);
