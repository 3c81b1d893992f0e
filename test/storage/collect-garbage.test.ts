import { it } from '@jest/globals';
import { collectGarbageSoon } from '../../src/storage/collect-garbage.ts';
import { poll } from '../jest/poll.ts';

it('frees what nothing refers to any more', async () => {
  const metadata = new WeakRef(Array.from({ length: 1_000_000 }, (_, i) => ({ i })));
  collectGarbageSoon();
  await poll(() => metadata.deref() === undefined, { timeout: 5_000 }).toBe(true);
});
