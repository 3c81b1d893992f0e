import { SEARCH_ATTRIBUTES } from './search-attributes.ts';

/** Where the Temporal UI shows a namespace. */
export interface TemporalUi {
  /** Such as `https://cloud.temporal.io`. Empty for links within the UI itself. */
  base: string;
  namespace: string;
}

/** Link to a job's workflow in the Temporal UI. */
export function workflowLink(ui: TemporalUi, jobId: string): string {
  return `${workflowsLink(ui)}/${encodeURIComponent(jobId)}`;
}

/** Link to the list of a connector's runs in the Temporal UI, which needs the search attributes. */
export function runsLink(ui: TemporalUi, connectorName: string): string {
  // As the UI itself writes queries, so that it shows this one as a filter. On SQLite, no query finds a value with a double quote.
  const query = `${SEARCH_ATTRIBUTES.connector.name}="${connectorName.replace(/["\\]/g, '\\$&')}"`;
  return `${workflowsLink(ui)}?query=${encodeForMarkdown(query)}`;
}

function workflowsLink({ base, namespace }: TemporalUi): string {
  return `${base.replace(/\/$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows`;
}

/** A parenthesis or a quote could end a link in Markdown. */
function encodeForMarkdown(text: string): string {
  return encodeURIComponent(text).replace(/[()']/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}
