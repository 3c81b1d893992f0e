export { reconcile } from './reconcile.ts';
export { validateConnector } from './validate-connector.ts';
