import type { MetadataAction, ProtocolAction } from '../actions.ts';
import { parseLine } from '../log/json-lines.ts';
import { type DomainAction, domainAction, fieldsOf, metadataAction, protocolAction } from '../log/log-actions.ts';
import type { LogStore } from '../log/log-store.ts';

/** What `N.crc` says of a version (Delta protocol, "Version Checksum File"). */
export interface Checksum {
  files?: number;
  /** Absent if it does not say. */
  vectors?: number;
  metadata: MetadataAction;
  protocol: ProtocolAction;
  /** Absent if it does not list them. */
  domains?: DomainAction[];
  inCommitTimestamp?: number;
}

/** With `allFiles`, of which writers write up to a few hundred. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Undefined if the file is missing, broken or too large: it only repeats what the log contains. Errors of the network are thrown. */
export async function readChecksum(store: LogStore, path: string): Promise<Checksum | undefined> {
  try {
    const bytes = await store.read(path, { maxBytes: MAX_BYTES });
    const fields = parseLine(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    const metadata = fieldsOf(fields.metadata, 'metadata');
    const protocol = fieldsOf(fields.protocol, 'protocol');
    if (!metadata || !protocol) return undefined;
    const { domainMetadata } = fields;
    return {
      files: countOf(fields.numFiles),
      vectors: countOf(fields.numDeletionVectorsOpt),
      metadata: metadataAction(metadata),
      protocol: protocolAction(protocol),
      domains: Array.isArray(domainMetadata)
        ? domainMetadata.map((domain) => domainAction(fieldsOf(domain, 'domainMetadata') ?? {}))
        : undefined,
      inCommitTimestamp: countOf(fields.inCommitTimestampOpt),
    };
  } catch (error) {
    if (isTransient(error)) throw error;
    return undefined;
  }
}

function isTransient(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED' || code === 'RESOURCE_EXHAUSTED';
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
