/** `/reconciler.v1.Connectors/TriggerReconcile` is `Connectors/TriggerReconcile`. */
export const methodName = (path: string): string => path.replace(/^\/(reconciler\.v1\.)?/, '');

/** AIP-131 and 132 name methods so; health and reflection are asked by machines, again and again. */
export const readsOnly = (path: string): boolean => /^\/grpc\.|\/(Get|List|Lookup|Count|Resolve|Stream)\w*$/.test(path);
