import { describe, expect, it } from '@jest/globals';
import { compareKeys, sortedPages } from '../../src/storage/sorted-pages.ts';
import { listed } from './listed.ts';

describe('sortedPages', () => {
  it('sorts any number of entries, and holds few', async () => {
    // 7 is coprime to 5000, so each name occurs once.
    const names = Array.from({ length: 5_000 }, (_, i) => String((i * 7) % 5_000).padStart(4, '0'));
    let passes = 0;
    async function* read() {
      passes++;
      for (const name of names) yield { name, folder: false };
    }
    const sizes = [];
    for await (const page of sortedPages(read, '0999', 1_500)) sizes.push(page.length);
    expect(sizes).toEqual([1_000, 500, 1_000, 500, 1_000]);
    expect(passes).toBe(3);
    const entries = await listed(sortedPages(read, '0999', 1_500));
    expect(entries.map(({ name }) => name)).toEqual([...names].sort().slice(1_000));
  });

  it('lists nothing for no entries', async () => {
    expect(await listed(sortedPages(async function* () {}))).toEqual([]);
  });
});

it('compares keys by their UTF-8 bytes', () => {
  const keys = ['', 'a', 'a-', 'a/', 'a/b', 'a0', 'é', '\ue000', '\uffff', '\u{10000}', '😀', '😁', '😁!'];
  const byBytes = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect([...keys].reverse().sort(compareKeys)).toEqual(byBytes);
  expect(compareKeys('x', 'x')).toBe(0);
});
