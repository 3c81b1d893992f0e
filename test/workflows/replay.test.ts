import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../integration/running-stack.ts';

const HISTORIES = join(ROOT, 'test/histories');
const BUNDLE = join(ROOT, 'dist/workflow-bundle.js');

describe('recorded histories replay', () => {
  beforeAll(() => expect(existsSync(BUNDLE), 'run `npm run build` first').toBe(true));

  const files = readdirSync(HISTORIES).filter((name) => name.endsWith('.json'));
  it('has histories', () => expect(files.length).toBeGreaterThan(8));

  it.each(files)('%s', async (file) => {
    const history = historyFromJSON(JSON.parse(readFileSync(join(HISTORIES, file), 'utf8')));
    await Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, history, basename(file, '.json'));
  });

  it('notices a workflow that took other steps', async () => {
    const history = historyFromJSON(JSON.parse(readFileSync(join(HISTORIES, 'first-run.json'), 'utf8')));
    const scheduled = history.events?.find((e) => e.activityTaskScheduledEventAttributes);
    scheduled!.activityTaskScheduledEventAttributes!.activityType!.name = 'anotherStep';
    await expect(Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, history, 'changed')).rejects.toThrow(
      /[Nn]ondeterminism/,
    );
  });
});
