import { printable } from './format.ts';

/** Labels and values in two columns, without those that are not set. */
export function details(pairs: [label: string, value: string | undefined][]): string[] {
  const filled = pairs.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(...filled.map(([label]) => label.length));
  return filled.map(([label, value]) => `${label.padEnd(width)}  ${printable(value)}`);
}
