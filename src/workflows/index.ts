export { reconcile } from './reconcile.ts';
export { sendAlert } from './send-alert.ts';
export { validateConnector } from './validate-connector.ts';
