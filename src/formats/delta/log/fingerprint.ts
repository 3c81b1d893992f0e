import type { ObjectStat } from '../../../storage/object-store.ts';

/** The commits that a version has its metadata and its protocol from. */
export interface StateOrigins {
  metadata: number;
  protocol: number;
}

export interface Fingerprint {
  version: number;
  /** Size of the commit file in bytes. */
  size: number;
  /** The version with what identifies its commit file. */
  commit: string;
  origins?: StateOrigins;
}

/**
 * The fingerprint of a version: its number, and what identifies its commit file. Another table at the same place has other files.
 *
 * @param origins if they are known: so that the next reader need not search them in all older commits
 */
export function fingerprintOf(version: number, { size, modifiedMs, etag }: ObjectStat, origins?: StateOrigins): string {
  const commit = `${version}:${size}:${etag?.replaceAll(':', '_') ?? Math.floor(modifiedMs)}`;
  return origins ? `${commit}:${origins.metadata}:${origins.protocol}` : commit;
}

/** Undefined for a text that is no fingerprint. */
export function parseFingerprint(text: string | undefined): Fingerprint | undefined {
  const [, commit, version, size, , metadata, protocol] =
    /^((\d{1,15}):(\d{1,16}):([^:]+))(?::(\d{1,15}):(\d{1,15}))?$/.exec(text ?? '') ?? [];
  if (commit === undefined) return undefined;
  return {
    version: Number(version),
    size: Number(size),
    commit,
    ...(metadata !== undefined && { origins: { metadata: Number(metadata), protocol: Number(protocol) } }),
  };
}

/** The version of a fingerprint; undefined for a text that is none. */
export const fingerprintVersion = (text: string | undefined) => parseFingerprint(text)?.version;
