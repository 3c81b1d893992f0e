import { CodedError } from '../../../errors.ts';
import { decodeCompactTheta, THETA_TYPE, thetaShare } from '../../../stats/ndv/compact-theta.ts';
import { relativeError } from '../../../stats/ndv/theta-sketch.ts';
import { JsonFields } from '../../json/json-fields.ts';
import { parseLosslessJson } from '../../json/lossless-json.ts';
import { fileError, MalformedError } from '../../malformed.ts';
import type { ColumnSketch, DataFileBytes, SketchFile } from '../../table-reader.ts';
import { puffinCodec } from './puffin-codecs.ts';

/** `PFA1` */
const MAGIC = 0x31414650;
/** FooterPayloadSize, Flags, Magic. */
const FOOTER_TAIL_BYTES = 12;
const COMPRESSED_FOOTER = 1;
/** A column takes 300 bytes of it. */
const MAX_FOOTER_BYTES = 4 * 1024 * 1024;
/** The sketches that engines write have up to 7,680 hashes: 60 KiB. This is room for twice as many. */
const MAX_BLOB_BYTES = 128 * 1024;
/** A file up to this size is read at once, a larger one blob by blob. */
const WHOLE_FILE_BYTES = 4 * 1024 * 1024;
/** How much of the end is read to find the footer. */
const END_BYTES = 64 * 1024;

interface Blob {
  columnId: number;
  offset: number;
  length: number;
  codec: string | undefined;
  ndv: number | undefined;
}

/**
 * The theta sketches of these columns in a statistics file (Puffin spec), one at a time, at most one a column: blobs may overlap, and a file of
 * few bytes could have any number of them. Blobs over several fields count distinct combinations and are no column's; blobs of other
 * types are left out.
 *
 * @throws CodedError `DATA_LOSS` where the file is broken, and what the store throws
 */
export async function* readPuffinSketches(
  file: SketchFile,
  bytes: DataFileBytes,
  columnIds: ReadonlySet<number>,
): AsyncGenerator<ColumnSketch> {
  const { path, snapshotId } = file;
  try {
    const source = bytes.byteLength <= WHOLE_FILE_BYTES ? await inMemory(bytes) : bytes;
    for (const blob of sketchBlobs(await readFooter(source), snapshotId, columnIds)) {
      const end = blob.offset + blob.length;
      if (blob.length > MAX_BLOB_BYTES || end > source.byteLength) {
        throw new MalformedError(`the sketch of column ${blob.columnId} is said to be at ${blob.offset} to ${end}`);
      }
      const data = puffinCodec(blob.codec)(Buffer.from(await source.slice(blob.offset, end)), MAX_BLOB_BYTES);
      yield columnSketch(blob, data);
    }
  } catch (error) {
    // Not advice for a table's metadata: the table is whole without this file.
    const cause = fileError('statistics file', path, error);
    if (!(error instanceof MalformedError)) throw cause;
    throw new CodedError('DATA_LOSS', `statistics file ${path} is broken: ${error.message}`, { cause: error });
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
    throw new MalformedError(`it does not end as a Puffin file does; it has ${byteLength} bytes`);
  }
  const size = end.readInt32LE(end.length - FOOTER_TAIL_BYTES);
  const flags = end[end.length - 8] as number;
  const footerBytes = size + FOOTER_TAIL_BYTES + 4;
  if (size < 0 || size > MAX_FOOTER_BYTES || footerBytes > byteLength) {
    throw new MalformedError(`its footer is said to have ${size} bytes; the file has ${byteLength}`);
  }
  if (footerBytes > end.length) {
    start = byteLength - footerBytes;
    end = buffer(await file.slice(start, byteLength));
  }
  const footer = end.subarray(end.length - footerBytes);
  if (footer.readUInt32LE(0) !== MAGIC) throw new MalformedError('its footer does not start as one does');
  const payload = footer.subarray(4, 4 + size);
  const text = (flags & COMPRESSED_FOOTER) !== 0 ? puffinCodec('lz4')(payload, MAX_FOOTER_BYTES) : payload;
  return new JsonFields(parseLosslessJson(text.toString('utf8')));
}

function sketchBlobs(footer: JsonFields, snapshotId: bigint, columnIds: ReadonlySet<number>): Blob[] {
  const remainingIds = new Set(columnIds);
  return footer.objects('blobs').flatMap((blob) => {
    const fields = blob.int32s('fields');
    const isSketch = blob.string('type') === THETA_TYPE && fields.length === 1;
    // A file may keep blobs of an older snapshot along with those of its own.
    if (!isSketch || blob.long('snapshot-id') !== snapshotId || !remainingIds.delete(fields[0] as number)) return [];
    const [offset, length] = [blob.integer('offset'), blob.integer('length')];
    if (offset < 0 || length < 0) throw new MalformedError(`a blob is said to be at ${offset}, ${length} bytes long`);
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

/** The writer's own count goes first: an engine's sketch in use can tell more than its compact form. */
function columnSketch({ columnId, ndv }: Blob, data: Uint8Array): ColumnSketch {
  const sketch = { type: THETA_TYPE, data };
  const theta = decodeCompactTheta(data);
  if (theta === undefined) {
    if (ndv === undefined) throw new MalformedError(`the sketch of column ${columnId} is none that can be read`);
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
