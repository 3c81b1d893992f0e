import type { ObjectStat } from '../../../storage/object-store.ts';

/** Where an action is: the bytes of its line in the commit of a version. */
export interface ActionPlace {
  version: number;
  start: number;
  end: number;
}

/** The actions that a version has its metadata and its protocol from. */
export interface StateOrigins {
  metadata: ActionPlace;
  protocol: ActionPlace;
}

export interface Fingerprint {
  version: number;
  /** Size of the commit file in bytes. */
  size: number;
  /** The version with what identifies its commit file. */
  commit: string;
  /** The first version that could be read then. */
  first?: number;
  origins?: StateOrigins;
}

/** The version with what identifies its commit file. Another table at the same place has other files. */
export function commitIdentity(version: number, { size, modifiedMs, etag }: ObjectStat): string {
  return `${version}:${size}:${etag?.replaceAll(':', '_') ?? Math.floor(modifiedMs)}`;
}

/**
 * The fingerprint of a version: what identifies its commit, and what spares the next reader requests.
 *
 * @param first the first version that can be read
 * @param origins if they are known: so that the next reader need not search them in all older commits
 */
export function fingerprintOf(commit: string, first: number, origins?: StateOrigins): string {
  const base = `${commit}:${first}`;
  return origins ? `${base}:${placeText(origins.metadata)}:${placeText(origins.protocol)}` : base;
}

const placeText = ({ version, start, end }: ActionPlace) => `${version}.${start}-${end}`;

const PLACE = String.raw`\d{1,15}\.\d{1,15}-\d{1,15}`;
const FINGERPRINT = new RegExp(
  String.raw`^((\d{1,15}):(\d{1,16}):([^:]+))(?::(\d{1,15}))?(?::(${PLACE}):(${PLACE}))?$`,
);

/** Undefined for a text that is no fingerprint. */
export function parseFingerprint(text: string | undefined): Fingerprint | undefined {
  const [, commit, version, size, , first, metadata, protocol] = FINGERPRINT.exec(text ?? '') ?? [];
  if (commit === undefined) return undefined;
  return {
    version: Number(version),
    size: Number(size),
    commit,
    ...(first !== undefined && { first: Number(first) }),
    ...(metadata !== undefined &&
      protocol !== undefined && { origins: { metadata: placeOf(metadata), protocol: placeOf(protocol) } }),
  };
}

function placeOf(text: string): ActionPlace {
  const [version = 0, start = 0, end = 0] = text.split(/[.-]/).map(Number);
  return { version, start, end };
}

/** The version of a fingerprint; undefined for a text that is none. */
export const fingerprintVersion = (text: string | undefined) => parseFingerprint(text)?.version;
