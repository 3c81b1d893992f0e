import type { ObjectStat } from '../../../storage/object-store.ts';

/** Of a version: its number, and what identifies its commit file. Another table at the same place has other files. */
export function fingerprintOf(version: number, { size, modifiedMs, etag }: ObjectStat): string {
  return `${version}:${size}:${etag ?? Math.floor(modifiedMs)}`;
}

/** The version of a fingerprint; undefined for a text that is none. */
export function fingerprintVersion(fingerprint: string | undefined): number | undefined {
  const digits = /^(\d{1,16}):\d+:./.exec(fingerprint ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}
