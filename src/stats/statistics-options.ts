import { CodedError } from '../errors.ts';

/** Selects the data files that are read to estimate the distinct values of columns. */
export interface NdvOptions {
  /** Share of the files: greater than 0, at most 1. */
  sampleFraction: number;
  /** Maximum number of files of the current snapshot; 0 means no limit. */
  maxFiles: number;
}

const MAX_FILES = 1_000_000;

/**
 * Parses the connector properties `stats.ndv.enabled` (default: false), `stats.ndv.sample_fraction` and `stats.ndv.max_files` (default: all
 * files).
 *
 * @returns undefined if data files must not be read
 * @throws CodedError `INVALID_ARGUMENT` that names the property
 */
export function ndvOptions(properties: Readonly<Record<string, string>>): NdvOptions | undefined {
  const isEnabled = flag(properties, 'stats.ndv.enabled');
  const sampleFraction = Number(properties['stats.ndv.sample_fraction'] || '1');
  if (!(sampleFraction > 0 && sampleFraction <= 1)) {
    throw invalidProperty(properties, 'stats.ndv.sample_fraction', 'a number greater than 0 and at most 1');
  }
  const maxFiles = Number(properties['stats.ndv.max_files'] || '0');
  if (!(Number.isInteger(maxFiles) && maxFiles >= 0 && maxFiles <= MAX_FILES)) {
    throw invalidProperty(properties, 'stats.ndv.max_files', `a whole number from 0 (no limit) to ${MAX_FILES}`);
  }
  return isEnabled ? { sampleFraction, maxFiles } : undefined;
}

/** Whether `stats.footers.enabled` is set: then files without column metrics get them from their Parquet footers. */
export function footersEnabled(properties: Readonly<Record<string, string>>): boolean {
  return flag(properties, 'stats.footers.enabled');
}

const KNOWN = ['stats.footers.enabled', 'stats.ndv.enabled', 'stats.ndv.max_files', 'stats.ndv.sample_fraction'];

/** The first property below `stats.` that has no meaning, with those that have one: other properties may be meant for the upstream. */
export function unknownStatisticsOption(properties: Readonly<Record<string, string>>): InvalidProperty | undefined {
  const unknown = Object.keys(properties).find((name) => name.startsWith('stats.') && !KNOWN.includes(name));
  return unknown === undefined
    ? undefined
    : new InvalidProperty(unknown, `is unknown: give one of ${KNOWN.join(', ')}`);
}

function flag(properties: Readonly<Record<string, string>>, name: string): boolean {
  const text = (properties[name] || 'false').trim().toLowerCase();
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalidProperty(properties, name, 'true or false');
}

/** INVALID_ARGUMENT: a property of a connector has a wrong value. */
export class InvalidProperty extends CodedError {
  readonly property: string;
  /** Continues the property's name. */
  readonly problem: string;

  constructor(property: string, problem: string) {
    super('INVALID_ARGUMENT', `connector property ${property} ${problem}`);
    this.property = property;
    this.problem = problem;
  }
}

function invalidProperty(properties: Readonly<Record<string, string>>, name: string, expected: string): CodedError {
  const found = JSON.stringify(properties[name]?.slice(0, 100));
  return new InvalidProperty(name, `is ${found}; it must be ${expected}`);
}
