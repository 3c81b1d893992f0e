import { printable } from './format.ts';

/** Labels and values in two columns. What is not set is left out. */
export function details(pairs: [label: string, value: string | undefined][]): string[] {
  const given = pairs.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(...given.map(([label]) => label.length));
  return given.map(([label, value]) => `${label.padEnd(width)}  ${printable(value)}`);
}
