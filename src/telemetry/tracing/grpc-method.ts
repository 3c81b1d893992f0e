/** Shortens `/reconciler.v1.Connectors/TriggerReconcile` to `Connectors/TriggerReconcile`, also for reconciler.internal.v1. */
export const methodName = (path: string): string => path.replace(/^\/(reconciler\.(internal\.)?v1\.)?/, '');

/** Whether a method only reads, by its name (AIP-131, AIP-132). Health checks and reflection count too, because machines call them often. */
export const readsOnly = (path: string): boolean =>
  /^\/grpc\.|\/(Compare|Count|Get|List|Lookup|Resolve|Stream)\w*$/.test(path);
