import { CodedError } from '../../../errors.ts';
import { fileError, RESTORE } from '../../malformed.ts';
import type { AddAction } from '../actions.ts';
import { noSmallActions, readFileActions, readSmallActions, type SmallActions } from '../log/commit.ts';
import type { DeltaLog } from '../log/delta-log.ts';
import type { SidecarAction } from '../log/log-actions.ts';
import type { Checkpoint } from '../log/log-listing.ts';
import type { LogStore } from '../log/log-store.ts';
import { ParquetCheckpoint } from './parquet-checkpoint.ts';

/** A part of a checkpoint that is read independently: a row group of a Parquet file, or a JSON file as a whole. */
export interface CheckpointUnit {
  file: CheckpointFilePath;
  group: number;
  /** According to the footer; absent if it does not say. */
  counts?: { files: number; vectors: number };
}

interface CheckpointFilePath {
  what: string;
  path: string;
  size?: number;
}

/** What the checkpoint's own files contain, besides the table's files. */
interface Top {
  actions: SmallActions;
  units: CheckpointUnit[];
}

/** Reads one checkpoint, whatever its kind. Errors name the file. */
export class CheckpointReader {
  readonly version: number;
  readonly #store: LogStore;
  readonly #log: DeltaLog;
  readonly #checkpoint: Checkpoint;
  #top?: Promise<Top>;
  #units?: Promise<CheckpointUnit[]>;

  constructor(store: LogStore, log: DeltaLog, checkpoint: Checkpoint) {
    this.version = checkpoint.version;
    this.#store = store;
    this.#log = log;
    this.#checkpoint = checkpoint;
  }

  /** The path of its first file, for messages. */
  get path(): string {
    return this.#log.path(this.#checkpoint.files[0]?.name ?? '');
  }

  /** The actions that are not about files. */
  async smallActions(): Promise<SmallActions> {
    this.#top ??= this.#readTop();
    return (await this.#top).actions;
  }

  /** What the files of the table are read from, in an order that never changes. Reads the footers. */
  async units(): Promise<readonly CheckpointUnit[]> {
    this.#units ??= this.#readUnits();
    return this.#units;
  }

  /** The table's files in one unit. */
  async *adds({ file, group }: CheckpointUnit, signal?: AbortSignal): AsyncGenerator<AddAction[]> {
    try {
      if (isJson(file)) {
        for await (const { actions } of readFileActions(this.#bytes(file), { signal })) {
          yield actions.filter((action) => action.kind === 'add');
        }
        return;
      }
      using parquet = await this.#open(file);
      for await (const adds of parquet.adds(group)) {
        signal?.throwIfAborted();
        yield adds;
      }
    } catch (error) {
      throw inFile(file, error);
    }
  }

  /** Each file is opened once for both. */
  async #readTop(): Promise<Top> {
    const top: Top = { actions: noSmallActions(), units: [] };
    for (const file of this.#files()) {
      try {
        if (isJson(file)) {
          return { actions: await readSmallActions(this.#bytes(file)), units: [{ file, group: 0 }] };
        }
        using parquet = await this.#open(file);
        await parquet.readSmallActions(top.actions);
        top.units.push(...unitsOf(file, parquet));
      } catch (error) {
        throw inFile(file, error);
      }
    }
    return top;
  }

  async #readUnits(): Promise<CheckpointUnit[]> {
    this.#top ??= this.#readTop();
    const { actions, units } = await this.#top;
    // File actions are in sidecars, or in the checkpoint itself (Delta protocol, "V2 Spec").
    const all = units.filter(({ file }) => !isJson(file) || actions.sidecars.length === 0);
    for (const file of actions.sidecars.map((sidecar) => this.#sidecar(sidecar))) {
      try {
        using parquet = await this.#open(file);
        all.push(...unitsOf(file, parquet));
      } catch (error) {
        throw inFile(file, error);
      }
    }
    return all;
  }

  #files(): CheckpointFilePath[] {
    return this.#checkpoint.files.map(({ name, size }) => ({ what: 'checkpoint', path: this.#log.path(name), size }));
  }

  #sidecar({ path, sizeInBytes }: SidecarAction): CheckpointFilePath {
    return { what: 'sidecar', path: this.#log.sidecarPath(path), size: sizeInBytes };
  }

  async #open(file: CheckpointFilePath): Promise<ParquetCheckpoint> {
    file.size ??= (await this.#store.stat(file.path)).size;
    return ParquetCheckpoint.open(this.#store.file(file.path, file.size));
  }

  #bytes({ path }: CheckpointFilePath) {
    return (start: number, end: number) => this.#store.readKept(path, start, end);
  }
}

function unitsOf(file: CheckpointFilePath, parquet: ParquetCheckpoint): CheckpointUnit[] {
  const units: CheckpointUnit[] = [];
  for (let group = 0; group < parquet.groups; group++) {
    const counts = parquet.counts(group);
    if (counts?.files !== 0) units.push({ file, group, ...(counts && { counts }) });
  }
  return units;
}

const isJson = ({ path }: CheckpointFilePath) => path.endsWith('.json');

/** The error with the name of the file, which readers of Parquet do not know. */
function inFile({ what, path }: CheckpointFilePath, error: unknown): unknown {
  if (!(error instanceof CodedError) || error.message.includes(path)) return fileError(what, path, error);
  if (error.code !== 'DATA_LOSS')
    return new CodedError(error.code, `${what} ${path}: ${error.message}`, { cause: error });
  return new CodedError('DATA_LOSS', `${what} ${path} is broken: ${error.message}.${RESTORE}`, { cause: error });
}
