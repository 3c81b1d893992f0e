import type { FileChange, FileChangeBatch } from '../../table-reader.ts';
import type { AddAction, RemoveAction } from '../actions.ts';
import { dataFile, dataFileOf, vectorFile } from '../columns/content-file.ts';
import type { DeltaSchema } from '../columns/delta-schema.ts';
import type { FileActionTarget } from '../log/commit.ts';
import { AddLine } from './add-line.ts';
import { type FilePaths, inlineVectorPath, vectorId } from './file-paths.ts';

/** Converts file actions to changes of one version's files. */
export class FileChanges {
  readonly #paths: FilePaths;
  readonly #schema: DeltaSchema;
  readonly #columnIds?: ReadonlySet<number>;
  #line?: AddLine;

  constructor(paths: FilePaths, schema: DeltaSchema, columnIds?: ReadonlySet<number>) {
    this.#paths = paths;
    this.#schema = schema;
    this.#columnIds = columnIds;
  }

  /**
   * The data file and its deletion vector. A file that is live already is added again with other statistics or another vector.
   *
   * @param isCheckpoint the version is that of a checkpoint, which does not say when the file was added
   */
  added(add: AddAction, version: number, into: FileChange[], isCheckpoint = false): void {
    const path = this.#paths.absolute(add.path);
    const addition = { ...additionOf(version), ...(isCheckpoint && { isUpperBound: true as const }) };
    const file = dataFile(add, path, this.#schema, this.#columnIds);
    const { defaultRowCommitVersion = version } = add;
    // A file of a checkpoint was added in the version in which its rows were, or later.
    const sequenceNumber = isCheckpoint ? Math.min(defaultRowCommitVersion, version) : version;
    into.push({ kind: 'added', file, ...addition, sequenceNumber, fileSequenceNumber: sequenceNumber });
    if (add.deletionVector === undefined) return;
    const vectorPath = this.#paths.vector(add.deletionVector, path);
    into.push({ kind: 'added', file: vectorFile(add, path, this.#schema, vectorPath), ...addition });
  }

  /** The changes of the file actions of a version's own commit. */
  target(version: number, into: () => FileChange[]): FileActionTarget {
    this.#line ??= new AddLine(this.#schema, this.#columnIds);
    const line = this.#line;
    const addition = additionOf(version);
    return {
      line: (bytes, start, end) => {
        if (!line.read(bytes, start, end)) return false;
        const path = this.#paths.absolute(line.path);
        const { size, baseRowId, stats, plan } = line;
        const file = dataFileOf({ path, size, baseRowId, stats, partition: line.partition(path) }, this.#schema, plan);
        into().push({ kind: 'added', file, ...addition });
        return true;
      },
      action: (action) => {
        if (action.kind === 'add') this.added(action, version, into());
        else this.removed(action, into());
      },
    };
  }

  /** The data file is removed if it is live with this vector, or without one (Delta protocol, "Add File and Remove File"). */
  removed({ path: encoded, deletionVector }: RemoveAction, into: FileChange[]): void {
    const path = this.#paths.absolute(encoded);
    if (deletionVector === undefined) {
      into.push({ kind: 'removed', path, ifVector: 'none' });
      return;
    }
    const { offset } = deletionVector;
    const vector = {
      path: this.#paths.vector(deletionVector, path) ?? inlineVectorPath(path, deletionVector),
      ...(offset !== undefined && { contentOffset: offset }),
    };
    into.push({ kind: 'removed', path, ifVector: vector }, { kind: 'removed', ...vector });
  }

  /** Identifies what an action is about: a data file together with its vector. */
  key({ path, deletionVector }: AddAction | RemoveAction): string {
    return `${this.#paths.key(path)}\n${vectorId(deletionVector)}`;
  }
}

const additionOf = (version: number) => ({
  sequenceNumber: version,
  fileSequenceNumber: version,
  addedSnapshotId: BigInt(version),
  replacesLive: true as const,
});

/** Changes per batch. */
export const BATCH_CHANGES = 4096;

/** Cuts changes into batches. The position belongs to the last of them. */
export function* batches(changes: FileChange[], position?: number): Generator<FileChangeBatch> {
  for (let start = 0; start < changes.length; start += BATCH_CHANGES) {
    const isLast = start + BATCH_CHANGES >= changes.length;
    const part = changes.length <= BATCH_CHANGES ? changes : changes.slice(start, start + BATCH_CHANGES);
    yield { changes: part, ...(isLast && position !== undefined && { position }) };
  }
}
