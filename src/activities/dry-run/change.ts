/** What a dry run finds that the run would do to one object. */
export interface Change {
  kind: 'CATALOG' | 'NAMESPACE' | 'TABLE' | 'VIEW' | 'SNAPSHOTS';
  action: 'CREATE' | 'UPDATE' | 'VERIFY' | 'MARK_MISSING' | 'DROP';
  /** The upstream's name; of a catalog or namespace, the destination's. */
  name: readonly string[];
  /** Below the destination's catalog. */
  destination: readonly string[];
  /** For people. */
  reason: string;
}
