/** Storage that contains a table's files: a file system or S3. */
export interface ObjectStore {
  /**
   * Reads the whole object, or the bytes from `start` to `end` (exclusive). Rejects with `NOT_FOUND` that names the path, or with
   * `FAILED_PRECONDITION` if there are more than `maxBytes`, because a retry would not help.
   */
  read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array>;
  /** Rejects with `NOT_FOUND` that names the path. */
  stat(path: string): Promise<ObjectStat>;
  /** Lists the names directly below a folder, sorted by UTF-16 code units. Rejects with `NOT_FOUND` if there is no such folder. */
  list(folder: string): Promise<FolderEntry[]>;
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
  name: string;
  folder: boolean;
  /** Present for files if the listing contains it at no extra cost. */
  stat?: ObjectStat;
}
