import { CodedError } from '../errors.ts';

/** Which data files of a table are read for the distinct values of its columns. */
export interface NdvOptions {
  /** Share of the files, above 0 and at most 1. */
  sampleFraction: number;
  /** Most files of the current snapshot; 0 for no limit. */
  maxFiles: number;
}

const MAX_FILES = 1_000_000;

/**
 * The connector properties `stats.ndv.enabled`, `stats.ndv.sample_fraction` and `stats.ndv.max_files`. Without the first, which is false,
 * nothing of data files is read; the others take all files.
 *
 * @throws CodedError `INVALID_ARGUMENT` that names the property
 */
export function ndvOptions(properties: Readonly<Record<string, string>>): NdvOptions | undefined {
  const isEnabled = flag(properties, 'stats.ndv.enabled');
  const sampleFraction = Number(properties['stats.ndv.sample_fraction'] || '1');
  if (!(sampleFraction > 0 && sampleFraction <= 1)) {
    throw invalidProperty(properties, 'stats.ndv.sample_fraction', 'a number above 0 and at most 1');
  }
  const maxFiles = Number(properties['stats.ndv.max_files'] || '0');
  if (!(Number.isInteger(maxFiles) && maxFiles >= 0 && maxFiles <= MAX_FILES)) {
    throw invalidProperty(properties, 'stats.ndv.max_files', `a whole number from 0, for no limit, to ${MAX_FILES}`);
  }
  return isEnabled ? { sampleFraction, maxFiles } : undefined;
}

/** `stats.footers.enabled`: files without column metrics get theirs from their Parquet footers. */
export function footersEnabled(properties: Readonly<Record<string, string>>): boolean {
  return flag(properties, 'stats.footers.enabled');
}

function flag(properties: Readonly<Record<string, string>>, name: string): boolean {
  const text = (properties[name] || 'false').trim().toLowerCase();
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalidProperty(properties, name, 'true or false');
}

function invalidProperty(properties: Readonly<Record<string, string>>, name: string, wanted: string): CodedError {
  const found = JSON.stringify(properties[name]?.slice(0, 100));
  return new CodedError('INVALID_ARGUMENT', `connector property ${name} is ${found}; it has to be ${wanted}`);
}
