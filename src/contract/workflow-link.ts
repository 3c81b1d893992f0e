/** Link to a job's workflow in the Temporal UI. */
export function workflowLink(temporalUi: string, jobId: string): string {
  const namespace = process.env.TEMPORAL_NAMESPACE || 'default';
  return `${temporalUi.replace(/\/$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(jobId)}`;
}
