import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Metadata } from 'nice-grpc';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { RunningStack } from '../integration/stack/running-stack.ts';
import { waitFor } from '../jest/wait-for.ts';
import { CleanUp } from './clean-up.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.ts';
import { startS3Lake } from './s3/s3-lake.ts';
import { connectorS3 } from './s3/s3-properties.ts';

/** Enough time for spans, which are sent every five seconds. */
const EVENTUALLY = { timeout: 60_000, interval: 200 };

describe('traces', () => {
  const cleanUp = new CleanUp();
  let stack: RunningStack;
  let receiver: OtlpReceiver;
  let connectorId: string;

  beforeAll(async () => {
    const { rest, moto } = await startS3Lake(cleanUp);
    receiver = cleanUp.use(await startOtlpReceiver());
    const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
    stack = cleanUp.use(await RunningStack.start({ ...moto.env, ...traced }));
    Object.assign(stack.env, traced);
    connectorId = await stack.connect('lake', '', { uri: rest.url, properties: connectorS3(moto) });
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  /** The spans of a trace, once the workflow's span has been received. */
  async function traceOf(jobId: string): Promise<ReceivedSpan[]> {
    return waitFor(() => {
      const run = receiver.spans.find(
        ({ name, attributes }) => name === 'RunWorkflow:reconcile' && attributes.temporalWorkflowId === jobId,
      );
      expect(run).toBeDefined();
      const spans = receiver.spans.filter(({ traceId }) => traceId === run?.traceId);
      expect(spans.some(({ name }) => name === 'RunActivity:endJob')).toBe(true);
      return spans;
    }, EVENTUALLY);
  }

  /** Names and services from a span to its root. */
  function waysUp(spans: ReceivedSpan[], from: ReceivedSpan): string[] {
    const parent = spans.find(({ spanId }) => spanId === from.parentId);
    return [`${from.service} ${from.name}`, ...(parent ? waysUp(spans, parent) : [])];
  }

  const INGESTED = [
    'reconciler-worker RunActivity:ingestTable',
    'reconciler-worker RunWorkflow:reconcile',
    'reconciler-catalog StartWorkflow:reconcile',
    'reconciler-catalog Connectors/TriggerReconcile',
  ];

  it('lead from the command through the workflow to the requests upstream', async () => {
    const { code, stdout } = await stack.cli('connector', 'trigger', 'lake', '--wait', '--json');
    expect(code).toBe(0);
    const [jobId] = /reconcile-lake-\w+/.exec(stdout) as RegExpExecArray;
    const spans = await traceOf(jobId as string);
    const command = [...INGESTED, 'reconciler-cli Connectors/TriggerReconcile'];

    // A request to the REST catalog, and one to S3 whose span is below one with the table's name.
    const requestTo = (path: RegExp) => spans.find(({ attributes }) => path.test(attributes['url.path'] ?? ''));
    for (const path of [/\/tables\/orders$/, /^\/lake\/.*\.avro$/]) {
      const span = requestTo(path) as ReceivedSpan;
      expect(waysUp(spans, span)).toEqual(['reconciler-worker GET', ...command]);
    }
    const ingests = spans.filter(({ name }) => name === 'RunActivity:ingestTable');
    expect(ingests.map(({ attributes }) => attributes['reconciler.table']).sort()).toEqual(['fx.orders', 'fx.refs']);
    for (const { attributes } of ingests) {
      expect(attributes).toMatchObject({ temporalWorkflowId: jobId, 'reconciler.connector': 'lake' });
    }
    // The worker's writes to the catalog are part of the trace.
    const put = spans.filter(({ name }) => name === 'Ingestion/CommitSnapshot');
    expect(put.map((span) => waysUp(spans, span).slice(0, 2))).toContainEqual([
      'reconciler-catalog Ingestion/CommitSnapshot',
      'reconciler-worker Ingestion/CommitSnapshot',
    ]);
    expect(spans.filter(({ parentId }) => parentId === '').map(({ service }) => service)).toEqual(['reconciler-cli']);
    expect(spans.filter(({ status }) => status === 2).map(({ name }) => name)).toEqual([]);
  });

  it('continue the trace of the call', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const metadata = Metadata({ traceparent: `00-${traceId}-b7ad6b7169203331-01` });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId, full: true }, { metadata });
    expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
    const spans = await traceOf(jobId);
    expect(spans[0]?.traceId).toBe(traceId);
    const ingest = spans.find(({ name }) => name === 'RunActivity:ingestTable') as ReceivedSpan;
    expect(waysUp(spans, ingest)).toEqual(INGESTED);
  });

  it('start with a run that Temporal starts, and add nothing to its history', async () => {
    const workflowId = 'by-hand';
    const start = { workflowId, taskQueue: 'reconciler', args: [{ connector: 'lake', full: true }] };
    const handle = await stack.temporal.workflow.start('reconcile', start);
    await handle.result();
    const spans = await traceOf(workflowId);
    const scan = spans.find(({ name }) => name === 'RunActivity:scanTables') as ReceivedSpan;
    expect(waysUp(spans, scan)).toEqual([
      'reconciler-worker RunActivity:scanTables',
      'reconciler-worker RunWorkflow:reconcile',
    ]);
    expect(spans[0]?.traceId).toBe(handle.firstExecutionRunId.replaceAll('-', ''));
    const { events } = await handle.fetchHistory();
    const headers = events?.flatMap(({ activityTaskScheduledEventAttributes }) =>
      Object.keys(activityTaskScheduledEventAttributes?.header?.fields ?? {}),
    );
    expect(headers).toEqual([]);
  });

  it('do not include calls that only read', async () => {
    await stack.cli('connector', 'list');
    await stack.cli('connector', 'update', 'lake', '--description', 'seen');
    await waitFor(
      () => expect(receiver.spans.map(({ name }) => name)).toContain('Connectors/UpdateConnector'),
      EVENTUALLY,
    );
    expect(receiver.spans.filter(({ name }) => /Connectors\/List|Health/.test(name))).toEqual([]);
  });
});
