import { describe, expect, it } from '@jest/globals';
import { Pool } from '../../src/workflows/task-pool.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Like the workflow's, which evaluates conditions after each step. */
async function condition(fulfilled: () => boolean): Promise<void> {
  while (!fulfilled()) await turn();
}

/** Tasks that run until they are released by name. */
class Tasks {
  readonly begun: string[] = [];
  readonly #releases = new Map<string, () => void>();

  task(name: string): () => Promise<void> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve) => this.#releases.set(name, resolve));
    };
  }

  async release(...names: string[]): Promise<void> {
    for (const name of names) this.#releases.get(name)?.();
    for (let i = 0; i < 5; i++) await turn();
  }
}

/** Whether the promise is fulfilled by now. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  for (let i = 0; i < 5; i++) await turn();
  return done;
}

describe('add', () => {
  it('starts tasks while there is room, and waits for room then', async () => {
    const pool = new Pool(2, condition);
    const tasks = new Tasks();
    await pool.add(tasks.task('a'));
    await pool.add(tasks.task('b'));
    const third = pool.add(tasks.task('c'));
    expect(await isDone(third)).toBe(false);
    expect(tasks.begun).toEqual(['a', 'b']);
    await tasks.release('b');
    expect(await isDone(third)).toBe(true);
    expect(tasks.begun).toEqual(['a', 'b', 'c']);
  });

  it('starts nothing if the wait is cancelled', async () => {
    const pool = new Pool(1, async (fulfilled) => {
      if (!fulfilled()) throw new Error('cancelled');
    });
    const tasks = new Tasks();
    await pool.add(tasks.task('a'));
    await expect(pool.add(tasks.task('b'))).rejects.toThrow('cancelled');
    expect(tasks.begun).toEqual(['a']);
  });
});

it('drain waits for all that were started', async () => {
  const pool = new Pool(2, condition);
  const tasks = new Tasks();
  await pool.add(tasks.task('a'));
  await pool.add(tasks.task('b'));
  const drained = pool.drain();
  await tasks.release('a');
  expect(await isDone(drained)).toBe(false);
  await tasks.release('b');
  expect(await isDone(drained)).toBe(true);
});

describe('runSubtasks', () => {
  /** A pool in which one task runs these subtasks. */
  async function running({
    slots,
    limit,
    mayStart = () => true,
  }: {
    slots: number;
    limit: number;
    mayStart?: () => boolean;
  }) {
    const pool = new Pool(slots, condition);
    const tasks = new Tasks();
    const subtasks = ['1', '2', '3', '4', '5'].map((name) => tasks.task(name));
    let ended = false;
    await pool.add(async () => {
      await pool.runSubtasks(subtasks, { limit, mayStart });
      ended = true;
    });
    await tasks.release();
    return { pool, tasks, hasEnded: () => ended };
  }

  it('takes its own slot and free ones, up to the limit', async () => {
    const { tasks, hasEnded } = await running({ slots: 8, limit: 3 });
    expect(tasks.begun).toEqual(['1', '2', '3']);
    await tasks.release('2');
    expect(tasks.begun).toEqual(['1', '2', '3', '4']);
    await tasks.release('1', '3', '4');
    expect(tasks.begun).toEqual(['1', '2', '3', '4', '5']);
    expect(hasEnded()).toBe(false);
    await tasks.release('5');
    expect(hasEnded()).toBe(true);
  });

  it('goes on in its own slot if there is no other', async () => {
    const { tasks, hasEnded } = await running({ slots: 1, limit: 4 });
    for (const name of ['1', '2', '3', '4', '5']) {
      expect(tasks.begun.at(-1)).toBe(name);
      await tasks.release(name);
    }
    expect(hasEnded()).toBe(true);
  });

  it('takes slots as they become free, and gives them back', async () => {
    const { pool, tasks } = await running({ slots: 2, limit: 2 });
    expect(tasks.begun).toEqual(['1', '2']);
    const other = pool.add(tasks.task('other'));
    await tasks.release('1', '2');
    await tasks.release('3', '4');
    await tasks.release('5');
    expect(await isDone(other)).toBe(true);
    await tasks.release('other');
    expect(await isDone(pool.drain())).toBe(true);
  });

  it('starts no other once it may not, and ends after those that run', async () => {
    let may = true;
    const { tasks, hasEnded } = await running({ slots: 8, limit: 2, mayStart: () => may });
    may = false;
    await tasks.release('1');
    expect(tasks.begun).toEqual(['1', '2']);
    expect(hasEnded()).toBe(false);
    await tasks.release('2');
    expect(hasEnded()).toBe(true);
  });
});
