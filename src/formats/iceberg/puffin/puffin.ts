import { decodeCompactTheta, THETA_TYPE, thetaShare } from '../../../stats/ndv/compact-theta.ts';
import { relativeError } from '../../../stats/ndv/theta-sketch.ts';
import { MemoryBudget } from '../../../storage/memory-budget.ts';
import { JsonFields } from '../../json/json-fields.ts';
import { parseLosslessJson } from '../../json/lossless-json.ts';
import { checkJson } from '../../json/scan-json.ts';
import { fileError, MalformedError } from '../../malformed.ts';
import type { ColumnSketch, DataFileBytes, SketchFile } from '../../table-reader.ts';
import { puffinCodec } from './puffin-codecs.ts';

/** `PFA1` */
const MAGIC = 0x31414650;
/** Size of FooterPayloadSize, Flags and Magic. */
const FOOTER_TAIL_BYTES = 12;
const COMPRESSED_FOOTER = 1;
/** A column takes about 300 bytes of the footer. */
const MAX_FOOTER_BYTES = 4 * 1024 * 1024;
/** A column has about ten values. */
const MAX_FOOTER_VALUES = 200_000;
/** The sketches of engines have up to 7,680 hashes, or 60 KiB; the limit is twice as high. */
const MAX_BLOB_BYTES = 128 * 1024;
/** Files up to this size are read at once, larger ones blob by blob. */
const WHOLE_FILE_BYTES = 4 * 1024 * 1024;
/** Files from this size, which is that of a hundred columns, wait for memory. */
const LARGE_FILE_BYTES = 1024 * 1024;
const LARGE_FILES = new MemoryBudget(32 * 1024 * 1024);
/** Bytes at the end of the file that are read to find the footer. */
const END_BYTES = 64 * 1024;

interface Blob {
  columnId: number;
  offset: number;
  length: number;
  codec: string | undefined;
  ndv: number | undefined;
}

/**
 * Reads the theta sketches of these columns from a statistics file (Puffin spec), one at a time and at most one per column, because blobs may
 * overlap and a small file could list any number of them. Blobs of several fields count distinct combinations and belong to no column; they and
 * blobs of other types are skipped.
 *
 * @throws CodedError `DATA_LOSS` if the file is corrupt; the store's errors
 */
export async function* readPuffinSketches(
  file: SketchFile,
  bytes: DataFileBytes,
  columnIds: ReadonlySet<number>,
): AsyncGenerator<ColumnSketch> {
  const { path, snapshotId } = file;
  try {
    using _ = bytes.byteLength > LARGE_FILE_BYTES ? await LARGE_FILES.reserve(2 * WHOLE_FILE_BYTES) : undefined;
    const source = bytes.byteLength <= WHOLE_FILE_BYTES ? await inMemory(bytes) : bytes;
    for (const blob of sketchBlobs(await readFooter(source), snapshotId, columnIds)) {
      const end = blob.offset + blob.length;
      if (blob.length > MAX_BLOB_BYTES || end > source.byteLength) {
        throw new MalformedError(
          `the sketch of column ${blob.columnId} is at bytes ${blob.offset} to ${end}; the file has ${source.byteLength}, and the limit for a sketch is ${MAX_BLOB_BYTES}`,
        );
      }
      const data = puffinCodec(blob.codec)(Buffer.from(await source.slice(blob.offset, end)), MAX_BLOB_BYTES);
      yield columnSketch(blob, data);
    }
  } catch (error) {
    throw fileError('statistics file', path, error, '');
  }
}

async function inMemory({ byteLength, slice }: DataFileBytes): Promise<DataFileBytes> {
  const all = await slice(0, byteLength);
  return { byteLength: all.length, slice: async (start, end) => all.subarray(start, end) };
}

async function readFooter(file: DataFileBytes): Promise<JsonFields> {
  const { byteLength } = file;
  let start = Math.max(0, byteLength - END_BYTES);
  let end = buffer(await file.slice(start, byteLength));
  if (end.length < FOOTER_TAIL_BYTES + 4 || end.readUInt32LE(end.length - 4) !== MAGIC) {
    throw new MalformedError(`it does not end like a Puffin file; it has ${byteLength} bytes`);
  }
  const size = end.readInt32LE(end.length - FOOTER_TAIL_BYTES);
  const flags = end[end.length - 8] as number;
  const footerBytes = size + FOOTER_TAIL_BYTES + 4;
  if (size < 0 || size > MAX_FOOTER_BYTES || footerBytes > byteLength) {
    throw new MalformedError(
      `its footer has a size of ${size} bytes; the file has ${byteLength}, and the limit is ${MAX_FOOTER_BYTES}`,
    );
  }
  if (footerBytes > end.length) {
    start = byteLength - footerBytes;
    end = buffer(await file.slice(start, byteLength));
  }
  const footer = end.subarray(end.length - footerBytes);
  if (footer.readUInt32LE(0) !== MAGIC) throw new MalformedError('its footer does not start with the magic bytes');
  const payload = footer.subarray(4, 4 + size);
  const text = (flags & COMPRESSED_FOOTER) !== 0 ? puffinCodec('lz4')(payload, MAX_FOOTER_BYTES) : payload;
  checkJson(text, 'its footer', MAX_FOOTER_VALUES);
  return new JsonFields(parseLosslessJson(text.toString('utf8')));
}

function sketchBlobs(footer: JsonFields, snapshotId: bigint, columnIds: ReadonlySet<number>): Blob[] {
  const remainingIds = new Set(columnIds);
  return footer.objects('blobs').flatMap((blob) => {
    const fields = blob.int32s('fields');
    const isSketch = blob.string('type') === THETA_TYPE && fields.length === 1;
    // A file may also contain blobs of an older snapshot.
    if (!isSketch || blob.long('snapshot-id') !== snapshotId || !remainingIds.delete(fields[0] as number)) return [];
    const [offset, length] = [blob.integer('offset'), blob.integer('length')];
    if (offset < 0 || length < 0) throw new MalformedError(`a blob has the offset ${offset} and the length ${length}`);
    const { ndv } = blob.stringMap('properties');
    return [
      {
        columnId: fields[0] as number,
        offset,
        length,
        codec: blob.optionalString('compression-codec'),
        ndv: ndv !== undefined && /^\d{1,15}$/.test(ndv) ? Number(ndv) : undefined,
      },
    ];
  });
}

/** The writer's own count takes precedence, because the engine's in-memory sketch can be more precise than its compact form. */
function columnSketch({ columnId, ndv }: Blob, data: Uint8Array): ColumnSketch {
  const sketch = { type: THETA_TYPE, data };
  const theta = decodeCompactTheta(data);
  if (theta === undefined) {
    if (ndv === undefined) throw new MalformedError(`the sketch of column ${columnId} cannot be decoded`);
    return { columnId, estimate: ndv, sketch };
  }
  const kept = theta.hashes.length / 2;
  const share = thetaShare(theta);
  if (share >= 1) return { columnId, exact: ndv ?? kept, sketch };
  return { columnId, estimate: ndv ?? kept / share, relativeError: relativeError(kept, share), sketch };
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
