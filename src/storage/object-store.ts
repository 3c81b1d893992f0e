/** Where metadata files lie: a file system or S3. */
export interface ObjectStore {
  /**
   * The whole object, or its part from `start` to before `end`. `NOT_FOUND` names the path; `RESOURCE_EXHAUSTED` if it
   * would be more than `maxBytes`.
   */
  read(path: string, options: { maxBytes: number; start?: number; end?: number }): Promise<Uint8Array>;
  /** Size in bytes and time of the last change. `NOT_FOUND` names the path. */
  stat(path: string): Promise<{ size: number; modifiedMs: number }>;
  /** Names directly below a folder, sorted. `NOT_FOUND` if it is not there. */
  list(folder: string): Promise<{ name: string; folder: boolean }[]>;
}
