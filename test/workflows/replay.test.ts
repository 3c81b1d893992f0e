import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import proto from '@temporalio/proto';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { TRACE_HEADER } from '../../src/telemetry/tracing/trace-header.ts';
import { ROOT } from '../integration/stack/running-stack.ts';

const HISTORIES = join(ROOT, 'test/histories');
const BUNDLE = join(ROOT, 'dist/workflow-bundle.js');

Runtime.install({ logger: new DefaultLogger('ERROR') });

const read = (file: string) => proto.temporal.api.history.v1.History.decode(readFileSync(join(HISTORIES, file)));
/** Ids of child workflows are made of it. */
const workflowIdOf = ({ events }: ReturnType<typeof read>) =>
  events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId as string;

describe('recorded histories replay', () => {
  beforeAll(() => {
    if (!existsSync(BUNDLE)) throw new Error('run `npm run build` first');
  });

  const files = readdirSync(HISTORIES).filter((name) => name.endsWith('.binpb'));
  it('has histories', () => expect(files.length).toBeGreaterThan(8));

  it.each(files)('%s', async (file) => {
    const history = read(file);
    await Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, history, workflowIdOf(history));
  });

  it('in the bundle for workers with a codec', async () => {
    const codePath = join(ROOT, 'dist/workflow-bundle-encoding.js');
    await Worker.runReplayHistory({ workflowBundle: { codePath } }, read('partial-failure.binpb'), 'partial-failure');
  });

  it.each(files)('%s, as if it had been traced', async (file) => {
    const history = read(file);
    const { header } = history.events?.[0]?.workflowExecutionStartedEventAttributes ?? {};
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const fields = { ...header?.fields, [TRACE_HEADER]: defaultPayloadConverter.toPayload({ traceparent }) };
    history.events![0]!.workflowExecutionStartedEventAttributes!.header = { fields };
    await Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, history, workflowIdOf(history));
  });

  it('notices a workflow that took other steps', async () => {
    const history = read('first-run.binpb');
    const scheduled = history.events?.find((e) => e.activityTaskScheduledEventAttributes);
    scheduled!.activityTaskScheduledEventAttributes!.activityType!.name = 'anotherStep';
    await expect(Worker.runReplayHistory({ workflowBundle: { codePath: BUNDLE } }, history, 'changed')).rejects.toThrow(
      /[Nn]ondeterminism/,
    );
  });
});
