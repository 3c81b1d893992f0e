/** Counts requests to an upstream, every attempt included, and the bytes received over the network or from disk. */
export interface Usage {
  requests: number;
  bytes: number;
  /** Resolves when the next network request may be sent; absent without a rate limit. Rejects if the caller is cancelled. */
  readonly gate?: () => Promise<void>;
}

/** Counters that start at zero. */
export function newUsage({ gate }: { gate?: Usage['gate'] } = {}): Usage {
  return { requests: 0, bytes: 0, ...(gate && { gate }) };
}
