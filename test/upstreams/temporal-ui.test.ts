import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Browser, chromium, type Page } from 'playwright-core';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { chromium as installedChromium } from './servers/chromium.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg/wh');

let stack: RunningStack;
let browser: Browser;
let folder: string;
let jobId: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-ui-'));
  for (const table of ['fx/orders', 'bad/truncated_metadata'])
    cpSync(join(FIXTURES, table), join(folder, 'wh', table), { recursive: true });
  stack = await RunningStack.start();
  const job = await stack.trigger(await stack.connect('lake-of-the-ui', join(folder, 'wh')));
  expect(job).toMatchObject({ state: JobState.JS_FAILED, counters: { tablesScanned: 2n, errors: 1n } });
  jobId = job.jobId;
  browser = await chromium.launch({
    executablePath: await installedChromium(),
    // Root may not use the sandbox. The other options stop Chromium's own requests.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await stack?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the run's page in the Temporal UI with the link that the CLI prints. */
async function runPage(): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1500, height: 1300 } });
  page.setDefaultTimeout(60_000);
  await page.goto(`${stack.uiUrl}/namespaces/default/workflows/${jobId}`);
  await page.getByText('ingestTable').first().waitFor();
  return page;
}

it("names each table's activity in the timeline", async () => {
  await using page = await runPage();
  await page.getByText('fx.orders').first().waitFor();
  expect(await page.locator('body').innerText()).toMatch(/ingestTable\W+bad\.truncated_metadata/);
});

it('shows the summary, and the details with counters and the last failures as Markdown', async () => {
  await using page = await runPage();
  await page.getByText('User Metadata', { exact: true }).click();
  // The UI renders Markdown in frames: summary, details, current details.
  const frame = (place: number) => page.frameLocator('iframe').nth(place).locator('body');
  await frame(2).getByText('scanned').first().waitFor();
  expect((await frame(0).innerText()).trim()).toBe('Reconcile of lake-of-the-ui');
  expect(await frame(1).innerText()).toContain('Ingests what has changed.');
  const text = (await frame(2).innerText()).replaceAll('\u00a0', ' ');
  expect(text).toContain('lake-of-the-ui · JS_FAILED · Partial failure (1): bad.truncated_metadata: table metadata');
  expect(text).toContain('Tables: 2 scanned · 1 changed · 0 unchanged · 0 filtered · 0 missing · 1 errors');
  expect(text).toMatch(
    /Failures \(all of them: reconciler job failures .*\):\s+bad\.truncated_metadata DATA_LOSS: table metadata .* is broken/,
  );
  expect(await frame(2).locator('strong', { hasText: 'lake-of-the-ui' }).count()).toBe(1);
  // The picture in docs/images is a screenshot of this page.
  const picture = await page.screenshot({ path: process.env.RECONCILER_UI_PICTURE });
  expect(picture.readUInt32BE(16)).toBe(1500);
});

it('finds the run by its search attributes', async () => {
  await using page = await runPage();
  await page.getByText('Search Attributes', { exact: true }).click();
  await page.getByText('ReconcilerOutcome').first().waitFor();
  const text = await page.locator('body').innerText();
  for (const [name, value] of [
    ['ReconcilerConnector', 'lake-of-the-ui'],
    ['ReconcilerTenant', 'default'],
    ['ReconcilerMode', 'incremental'],
    ['ReconcilerOutcome', 'JS_FAILED'],
  ])
    expect(text).toMatch(new RegExp(`${name}\\W+${value}`));

  const query = "ReconcilerConnector='lake-of-the-ui' AND ReconcilerOutcome='JS_FAILED'";
  await page.goto(`${stack.uiUrl}/namespaces/default/workflows?query=${encodeURIComponent(query)}`);
  await page.getByText(jobId).first().waitFor();
});
