/** One segment a level; the root is empty. */
export type NamespacePath = readonly string[];

export interface TableRef {
  namespace: NamespacePath;
  name: string;
}
