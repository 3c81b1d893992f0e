import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { CodeName } from '../../src/errors.ts';

/** What a made upstream consists of: the JSON file that a connector's URI names. It may change at any time, as real ones do. */
export interface SyntheticUpstream {
  tables: number;
  namespaces: number;
  /** Data files of a table; each snapshot replaces them. Default 1. */
  files?: number;
  /** Counts up. In each one after the first a share of the tables has a new snapshot. Default 0. */
  round?: number;
  /** From 0 to 1. */
  changedShare?: number;
  /** Snapshots that a table keeps; older ones are expired. Default 3. */
  keptSnapshots?: number;
  faults?: TableFault[];
  /** Namespaces that may not be listed, by number. */
  refused?: number[];
}

/** Opening every so many-th table fails, or takes its time. */
export interface TableFault {
  every: number;
  /** The number of the first. Default 0. */
  from?: number;
  code?: CodeName;
  /** So many times in a round; then it works. Absent: always. */
  times?: number;
  retryAfterMs?: number;
  delayMs?: number;
}

/** @returns the URI for a connector */
export function writeUpstream(file: string, upstream: SyntheticUpstream): string {
  // Whoever reads it meanwhile reads the old one or the new one.
  writeFileSync(`${file}.new`, JSON.stringify(upstream));
  renameSync(`${file}.new`, file);
  return `file://${file}`;
}

/** Reads the file again where it has changed. */
export function upstreamReader(file: string): () => SyntheticUpstream {
  let read: { changed: number; inode: number; upstream: SyntheticUpstream } | undefined;
  return () => {
    const { mtimeMs: changed, ino: inode } = statSync(file);
    if (read?.changed !== changed || read.inode !== inode) {
      read = { changed, inode, upstream: JSON.parse(readFileSync(file, 'utf8')) };
    }
    return read.upstream;
  };
}

export const namespaceName = (number: number) => `n${String(number).padStart(4, '0')}`;
export const tableName = (number: number) => `t${String(number).padStart(6, '0')}`;
/** Tables go round the namespaces. */
export const namespaceOf = (table: number, { namespaces }: SyntheticUpstream) => table % namespaces;

/** The rounds in which a table got its snapshots, oldest first: the kept ones. */
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

/** From 0 to 1, the same every time. Mixing as in MurmurHash3's 32-bit finalizer. */
function chance(table: number, round: number): number {
  let h = Math.imul(table + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 0x1_0000_0000;
}
