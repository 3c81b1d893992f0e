/** A file of `_delta_log` that a reader uses. All other entries (staged commits, sidecars, compacted files, hidden or temporary ones) are not. */
export type LogFile = { kind: 'commit'; version: number } | { kind: 'checksum'; version: number } | CheckpointFile;

export interface CheckpointFile {
  kind: 'checkpoint';
  version: number;
  isJson: boolean;
  isUuid: boolean;
  part?: { number: number; of: number };
}

const NAME = /^(\d{20})\.(json|crc|checkpoint\.(.+))$/;
/** Delta protocol, "Checkpoint Naming Scheme". */
const MULTI_PART = /^(\d{10})\.(\d{10})\.parquet$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.(json|parquet)$/i;

export function logFile(name: string): LogFile | undefined {
  const [, digits, kind, rest = ''] = NAME.exec(name) ?? [];
  const version = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(version)) return undefined;
  if (kind === 'json') return { kind: 'commit', version };
  if (kind === 'crc') return { kind: 'checksum', version };
  if (rest === 'parquet') return { kind: 'checkpoint', version, isJson: false, isUuid: false };
  const [, number, of] = MULTI_PART.exec(rest) ?? [];
  if (number !== undefined) {
    const part = { number: Number(number), of: Number(of) };
    return { kind: 'checkpoint', version, isJson: false, isUuid: false, part };
  }
  const [, format] = UUID.exec(rest) ?? [];
  return format === undefined
    ? undefined
    : { kind: 'checkpoint', version, isJson: format.toLowerCase() === 'json', isUuid: true };
}

/** The 20 digits with which the names of a version's files begin. */
export const versionDigits = (version: number) => String(version).padStart(20, '0');

export const commitName = (version: number) => `${versionDigits(version)}.json`;

export const checksumName = (version: number) => `${versionDigits(version)}.crc`;
