/** Storage that contains a table's files: a file system, S3, Azure or Google. */
export interface ObjectStore {
  /**
   * Reads the whole object, or the bytes from `start` to `end` (exclusive). Rejects with `NOT_FOUND` that names the path, or with
   * `FAILED_PRECONDITION` if there are more than `maxBytes`, because a retry would not help.
   */
  read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array>;
  /** Rejects with `NOT_FOUND` that names the path. */
  stat(path: string): Promise<ObjectStat>;
  /**
   * Lists the entries directly below a folder in pages of about a thousand, in the order of `compareKeys`. Whoever iterates holds one page, so a
   * folder may have millions of entries. Rejects with `NOT_FOUND` if there is no such folder; with `after`, it may list nothing instead.
   *
   * @param options.after only entries behind this key are listed, at the cost of only these if the store can. It is the name of an entry,
   *   with a slash at its end for a folder, and need not exist.
   */
  list(folder: string, options?: { after?: string }): AsyncIterable<readonly FolderEntry[]>;
}

export interface ObjectStat {
  /** In bytes. */
  size: number;
  /** Time of the last change. */
  modifiedMs: number;
  /** Identifies the content. Absent if the store has no ETags. */
  etag?: string;
}

export interface FolderEntry {
  /** Without a slash. */
  name: string;
  folder: boolean;
  /** Present for files if the listing contains it at no extra cost. */
  stat?: ObjectStat;
}
