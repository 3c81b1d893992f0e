/**
 * Records the histories of jobs that send alerts to a webhook, and of the alert's workflow, for test/workflows/replay.test.ts:
 * npx tsx test/histories/record-alerts.ts
 */
import { join } from 'node:path';
import { WebhookReceiver } from '../activities/alerts/webhook-receiver.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { saveHistory } from './save-history.ts';

await using receiver = await WebhookReceiver.start();
await using stack = await RunningStack.start();
const alerts = { webhookUrl: receiver.origin };
const connectorId = await stack.connect('partial', join(ROOT, 'test/fixtures/iceberg/wh'), { alerts });
const { jobId } = await stack.trigger(connectorId);
await saveHistory(stack, 'failed-with-alert', jobId);
await saveHistory(stack, 'alert', `alert-${jobId}`);
await saveHistory(stack, 'failed-again-without-alert', (await stack.trigger(connectorId)).jobId);
