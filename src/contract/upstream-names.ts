/** One segment per level; empty for the root. */
export type NamespacePath = readonly string[];

export interface TableRef {
  namespace: NamespacePath;
  name: string;
}
