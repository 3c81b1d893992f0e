/** Shortens `/reconciler.v1.Connectors/TriggerReconcile` to `Connectors/TriggerReconcile`. */
export const methodName = (path: string): string => path.replace(/^\/(reconciler\.v1\.)?/, '');

/** Whether a method only reads, by its name (AIP-131, AIP-132). Health checks and reflection count too, because machines call them often. */
export const readsOnly = (path: string): boolean => /^\/grpc\.|\/(Get|List|Lookup|Count|Resolve|Stream)\w*$/.test(path);
