/** A job's claim on a connector. Every write of the job to the catalog carries it, so that the catalog can refuse a claim that has ended. */
export interface Claim {
  connectorId: string;
  /** From 1; grows with each claim on the connector. */
  epoch: number;
  /** The Temporal run that has claimed. It tells claims apart if a database that lost its last transactions repeats an epoch. */
  runId: string;
}

/** Key of the gRPC metadata that carries the claim. */
export const CLAIM_METADATA = 'reconciler-claim';

/** Reason in the google.rpc.ErrorInfo of a call that was refused because of its claim, and the domain of that reason. */
export const CLAIM_LOST = 'CLAIM_LOST';
export const ERROR_DOMAIN = 'reconciler';

/** The value of the metadata: connector id, epoch and run id, separated by spaces. */
export function formatClaim({ connectorId, epoch, runId }: Claim): string {
  return `${connectorId} ${epoch} ${runId}`;
}

/** @returns undefined if the text is not the value of such metadata */
export function parseClaim(text: string): Claim | undefined {
  const [, connectorId, digits, runId] = /^(\S{1,200}) ([1-9]\d{0,15}) (\S{1,200})$/.exec(text) ?? [];
  if (connectorId === undefined || digits === undefined || runId === undefined) return undefined;
  const epoch = Number(digits);
  return Number.isSafeInteger(epoch) ? { connectorId, epoch, runId } : undefined;
}
