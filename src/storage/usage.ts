/** What was asked of an upstream: every attempt counts, and bytes as they came over the network or from the disk. */
export interface Usage {
  requests: number;
  bytes: number;
  /** Waited for before each request over the network, where they are capped. Rejects when whoever asks is ended. */
  readonly gate?: () => Promise<void>;
}

/** Nothing was asked yet. */
export function newUsage({ gate }: { gate?: Usage['gate'] } = {}): Usage {
  return { requests: 0, bytes: 0, ...(gate && { gate }) };
}
