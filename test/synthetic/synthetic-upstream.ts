import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { CodeName } from '../../src/errors.ts';

/** The content of a synthetic upstream: the JSON file that a connector's URI names. It may change at any time. */
export interface SyntheticUpstream {
  tables: number;
  namespaces: number;
  /** Data files per table; each snapshot replaces them. Default 1. */
  files?: number;
  /** Files that are read at a time, and how long that takes. Absent: all at once. */
  batches?: { size: number; delayMs: number };
  /** Number of the current round. In each round after the first, a share of the tables gets a new snapshot. Default 0. */
  round?: number;
  /** The share of tables that change per round, from 0 to 1. */
  changedShare?: number;
  /** Snapshots that a table keeps; older ones are expired. Default 3. */
  keptSnapshots?: number;
  faults?: TableFault[];
  /** Namespaces that may not be listed, by number. */
  refused?: number[];
  /** A file to which each opening of a table is appended, as an `OpenedTable`. */
  openedTables?: string;
}

/** Opening every `every`-th table fails or is slow. */
export interface TableFault {
  every: number;
  /** The number of the first such table. Default 0. */
  from?: number;
  code?: CodeName;
  /** How often opening fails per round before it succeeds. If absent, it always fails. */
  times?: number;
  retryAfterMs?: number;
  delayMs?: number;
}

/** Writes the file of an upstream. @returns the URI for a connector */
export function writeUpstream(file: string, upstream: SyntheticUpstream): string {
  // Renamed, so that a reader sees either the old content or the new.
  writeFileSync(`${file}.new`, JSON.stringify(upstream));
  renameSync(`${file}.new`, file);
  return `file://${file}`;
}

/** Returns a function that reads the file, again only if it has changed. */
export function upstreamReader(file: string): () => SyntheticUpstream {
  let cached: { changed: number; inode: number; upstream: SyntheticUpstream } | undefined;
  return () => {
    const { mtimeMs: changed, ino: inode } = statSync(file);
    if (cached?.changed !== changed || cached.inode !== inode) {
      cached = { changed, inode, upstream: JSON.parse(readFileSync(file, 'utf8')) };
    }
    return cached.upstream;
  };
}

export const namespaceName = (number: number) => `n${String(number).padStart(4, '0')}`;
export const tableName = (number: number) => `t${String(number).padStart(6, '0')}`;
/** Tables are assigned to the namespaces in turn. */
export const namespaceOf = (table: number, { namespaces }: SyntheticUpstream) => table % namespaces;

/** The rounds in which a table got the snapshots that it still has, oldest first. */
export function roundsOf(
  table: number,
  { round = 0, changedShare = 0, keptSnapshots = 3 }: SyntheticUpstream,
): number[] {
  const rounds: number[] = [];
  for (let r = round; r > 0 && rounds.length < keptSnapshots; r--)
    if (chance(table, r) < changedShare) rounds.unshift(r);
  return rounds.length < keptSnapshots ? [0, ...rounds] : rounds;
}

/** The tables that got a snapshot in this round. */
export function changedIn(round: number, { tables, changedShare = 0 }: SyntheticUpstream): number[] {
  return Array.from({ length: tables }, (_, table) => table).filter((table) => chance(table, round) < changedShare);
}

export function faultsOf(table: number, { faults = [] }: SyntheticUpstream): TableFault[] {
  return faults.filter(({ every, from = 0 }) => table >= from && (table - from) % every === 0);
}

/** A pseudo-random number from 0 to 1 that depends only on the arguments, mixed as in MurmurHash3's 32-bit finalizer. */
function chance(table: number, round: number): number {
  let h = Math.imul(table + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 0x1_0000_0000;
}
