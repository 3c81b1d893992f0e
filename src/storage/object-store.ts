/** Where metadata files lie: a file system or S3. */
export interface ObjectStore {
  /**
   * The whole object, or its part from `start` to before `end`. `NOT_FOUND` names the path;
   * `FAILED_PRECONDITION` if it would be more than `maxBytes`: trying again would not make it smaller.
   */
  read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array>;
  /** `NOT_FOUND` names the path. */
  stat(path: string): Promise<ObjectStat>;
  /** Names directly below a folder, sorted by UTF-16 code units. `NOT_FOUND` if it is not there. */
  list(folder: string): Promise<FolderEntry[]>;
}

export interface ObjectStat {
  /** In bytes. */
  size: number;
  /** Time of the last change. */
  modifiedMs: number;
  /** Of this content, where the store has such a thing. */
  etag?: string;
}

export interface FolderEntry {
  name: string;
  folder: boolean;
  /** Of a file, where the listing tells it at no further cost. */
  stat?: ObjectStat;
}
