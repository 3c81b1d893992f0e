import { CodedError } from './errors.ts';
import { parseSegments } from './names.ts';

/** The include and exclude patterns of a connector's source. */
export interface NamePatterns {
  includeNamespaces: readonly string[];
  excludeNamespaces: readonly string[];
  includeTables: readonly string[];
  excludeTables: readonly string[];
}

/** Decides which tables and views of an upstream are included. */
export interface NameFilter {
  /** Whether there is any pattern. */
  hasPatterns: boolean;
  /** Whether a table or view is included. */
  includes(table: { namespace: readonly string[]; name: string }): boolean;
  /** Whether a table or view directly in the namespace can be included. */
  mayTakeIn(namespace: readonly string[]): boolean;
  /** Whether a table or view in a namespace below it can be included. */
  mayTakeBelow(namespace: readonly string[]): boolean;
}

/** Matches any number of segments or characters. */
const ANY = Symbol('any');
/** Matches exactly one character. */
const ONE = Symbol('one');
/** In a path: a segment that is not known. */
const UNKNOWN = Symbol('unknown');

/** One segment: the text itself if it has no wildcards, otherwise its characters (code points). */
type SegmentPattern = string | (string | typeof ANY | typeof ONE)[];
type NamePattern = (SegmentPattern | typeof ANY)[];
type Path = readonly (string | typeof UNKNOWN)[];

/**
 * Compiles the patterns of a connector's source; `SourceSelector` in connectors.proto defines their meaning. A table is included if its
 * namespace and its full name both match an include pattern (if there are any), and neither matches an exclude pattern.
 *
 * @throws CodedError INVALID_ARGUMENT that contains the pattern
 */
export function nameFilter(patterns: NamePatterns | undefined): NameFilter {
  const namespaces = (texts: readonly string[] = []) => texts.map((text): NamePattern => [...parsePattern(text), ANY]);
  const tables = (texts: readonly string[] = []) => texts.map(parsePattern);
  const include = [namespaces(patterns?.includeNamespaces), tables(patterns?.includeTables)] as const;
  const exclude = [namespaces(patterns?.excludeNamespaces), tables(patterns?.excludeTables)] as const;
  const isIncluded = (kind: 0 | 1, path: readonly string[]) =>
    (include[kind].length === 0 || include[kind].some((pattern) => matches(pattern, path))) &&
    !exclude[kind].some((pattern) => matches(pattern, path));
  // Callers pass tables namespace by namespace, so the last result can be reused.
  let last: { namespace: readonly string[]; taken: boolean } | undefined;
  const isNamespaceIncluded = (namespace: readonly string[]) => {
    if (last?.namespace !== namespace) last = { namespace, taken: isIncluded(0, namespace) };
    return last.taken;
  };
  return {
    hasPatterns: [...include, ...exclude].some(({ length }) => length > 0),
    includes: ({ namespace, name }) => isNamespaceIncluded(namespace) && isIncluded(1, [...namespace, name]),
    mayTakeIn: (namespace) => {
      const table: Path = [...namespace, UNKNOWN];
      return (
        isIncluded(0, namespace) &&
        (include[1].length === 0 || include[1].some((pattern) => canMatch(pattern, table))) &&
        !exclude[1].some((pattern) => alwaysMatches(pattern, table))
      );
    },
    mayTakeBelow: (namespace) => {
      const child: Path = [...namespace, UNKNOWN];
      const table: Path = [...child, UNKNOWN];
      return (
        include.every((some) => some.length === 0 || some.some((pattern) => beginsWith(pattern, child))) &&
        !exclude[0].some((pattern) => alwaysMatchesFrom(pattern, child)) &&
        !exclude[1].some((pattern) => alwaysMatchesFrom(pattern, table))
      );
    },
  };
}

/**
 * Parses a pattern, which is quoted like a name (see names.ts). `*` and `?` have no special meaning if they are quoted or escaped.
 *
 * @throws CodedError INVALID_ARGUMENT that contains the pattern
 */
export function parsePattern(text: string): NamePattern {
  let segments: ReturnType<typeof parseSegments>;
  try {
    segments = parseSegments(text);
  } catch (error) {
    const why = (error as Error).message.replace(/^name /, 'pattern ');
    throw new CodedError('INVALID_ARGUMENT', why, { cause: error });
  }
  return segments.map(({ value, quoted }) => {
    if (value === '**' && quoted.size === 0) return ANY;
    const tokens: (string | typeof ANY | typeof ONE)[] = [];
    let at = 0;
    for (const char of value) {
      const wild = quoted.has(at) ? undefined : ({ '*': ANY, '?': ONE } as const)[char];
      tokens.push(wild ?? char);
      at += char.length;
    }
    return tokens.some((token) => typeof token === 'symbol') ? tokens : value;
  });
}

function matches(pattern: NamePattern, path: readonly string[]): boolean {
  return globs(pattern, path, segmentMatches);
}

/** Whether the pattern matches with some names as the unknown segments. */
function canMatch(pattern: NamePattern, path: Path): boolean {
  return globs(pattern, path, canMatchSegment);
}

/** Whether the pattern matches whatever the unknown segments are. */
function alwaysMatches(pattern: NamePattern, path: Path): boolean {
  return globs(pattern, path, (part, segment) =>
    segment === UNKNOWN ? matchesAnything(part) : segmentMatches(part, segment),
  );
}

/** Whether the pattern matches whatever the unknown segments are and whatever follows the path. */
function alwaysMatchesFrom(pattern: NamePattern, path: Path): boolean {
  const afterAny = pattern.slice(pattern.lastIndexOf(ANY) + 1) as SegmentPattern[];
  return pattern.includes(ANY) && afterAny.every(matchesAnything) && alwaysMatches(pattern, path);
}

/** Whether the pattern matches a longer name that begins with the path, with some names as the unknown segments. */
function beginsWith(pattern: NamePattern, path: Path): boolean {
  const any = pattern.indexOf(ANY);
  if (any < 0 && pattern.length <= path.length) return false;
  const fixed = pattern.slice(0, any < 0 ? path.length : Math.min(any, path.length)) as SegmentPattern[];
  return fixed.every((part, i) => canMatchSegment(part, path[i] as Path[number]));
}

function canMatchSegment(pattern: SegmentPattern, segment: Path[number]): boolean {
  return segment === UNKNOWN || segmentMatches(pattern, segment);
}

function matchesAnything(pattern: SegmentPattern): boolean {
  return typeof pattern !== 'string' && pattern.every((token) => token === ANY);
}

function segmentMatches(pattern: SegmentPattern, segment: string): boolean {
  if (typeof pattern === 'string') return pattern === segment;
  return globs(pattern, [...segment], (token, char) => token === ONE || token === char);
}

/**
 * Whether the pattern, in which `ANY` matches any number of items, matches all items. It backtracks only to the last `ANY`, which finds
 * every match: the tokens between two `ANY`s can stay at their first match. So the time is at most pattern length times item count.
 */
function globs<P, T>(
  pattern: readonly (P | typeof ANY)[],
  items: readonly T[],
  matchesOne: (p: P, item: T) => boolean,
) {
  let [p, i] = [0, 0];
  let back: { p: number; i: number } | undefined;
  while (i < items.length) {
    const token = pattern[p];
    if (p < pattern.length && token === ANY) {
      back = { p: p + 1, i };
      p += 1;
    } else if (p < pattern.length && matchesOne(token as P, items[i] as T)) {
      p += 1;
      i += 1;
    } else if (back) {
      back.i += 1;
      ({ p, i } = back);
    } else {
      return false;
    }
  }
  return pattern.slice(p).every((token) => token === ANY);
}
