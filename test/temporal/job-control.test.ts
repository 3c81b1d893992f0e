import { describe, expect, it } from '@jest/globals';
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { temporalJobControl } from '../../src/temporal/job-control.ts';
import { newProgress } from '../synthetic/new-progress.ts';

/** Job control with a fake client, all of whose workflows have this handle. */
function controlOf(handle: object, pendingActivities: object[] = []) {
  return temporalJobControl(
    async () =>
      ({
        options: { namespace: 'default' },
        workflow: { getHandle: () => handle },
        workflowService: { describeWorkflowExecution: async () => ({ pendingActivities }) },
        withDeadline: (_: number, call: () => Promise<unknown>) => call(),
      }) as unknown as Client,
  );
}

describe('progress', () => {
  const progress = { ...newProgress(), state: 'JS_RUNNING', counters: { tablesScanned: 60, filesIngested: 9 } };
  // The workflow knows by itself what its activities have done so far.
  const heartbeatDetails = { payloads: [{ data: Buffer.from('{"files":4}') }] };
  const pending = [{ heartbeatDetails, lastStartedTime: {} }];

  it('is what the workflow returns', async () => {
    expect(await controlOf({ query: async () => progress }, pending).progress('job')).toEqual(progress);
  });

  it('is absent if no worker answers', async () => {
    const query = () => Promise.reject(new Error('deadline exceeded'));
    expect(await controlOf({ query }, pending).progress('job')).toBeUndefined();
  });
});

describe('wake', () => {
  it('sends a signal', async () => {
    const signals: unknown[] = [];
    await controlOf({ signal: async (...sent: unknown[]) => signals.push(sent) }).wake('job');
    expect(signals).toEqual([['wake']]);
  });

  it('does nothing if the workflow is closed or unknown, and otherwise fails', async () => {
    const failing = (error: Error) => controlOf({ signal: () => Promise.reject(error) }).wake('job');
    await failing(new WorkflowNotFoundError('workflow execution already completed', 'job', undefined));
    await expect(failing(new Error('no permission'))).rejects.toThrow('no permission');
  });
});
