/** What was asked of an upstream: every attempt counts, and bytes as they came over the network or from the disk. */
export interface Usage {
  requests: number;
  bytes: number;
}
