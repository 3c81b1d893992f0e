import type { ObjectStore } from '../../../storage/object-store.ts';

/** It may contain the checkpoint's schema, and the contents of a small V2 checkpoint. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * The version that `_last_checkpoint` names (Delta protocol, "Last Checkpoint File"). It only says where to begin a listing: the file may be missing,
 * broken, old or wrong, and is then of no use. Undefined in these cases.
 */
export async function lastCheckpointHint(
  store: Pick<ObjectStore, 'read'>,
  folder: string,
): Promise<number | undefined> {
  try {
    const bytes = await store.read(`${folder}/_last_checkpoint`, { maxBytes: MAX_BYTES });
    // Only the version matters, and everything before it in what writers write is short.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 4096)).toString('utf8');
    const version = Number(/^\s*\{[^{}]*?"version"\s*:\s*(\d{1,16})\s*[,}]/.exec(text)?.[1]);
    return Number.isSafeInteger(version) ? version : undefined;
  } catch {
    return undefined;
  }
}
