import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { followPages } from '../../../src/activities/listing/page-cycle.ts';
import { listAllNames, walkFrom, walkTables, walkViews } from '../../../src/activities/listing/walk-namespaces.ts';
import type { Page, TableEntry } from '../../../src/connectors/spi.ts';
import type { PageCycle, WalkCursor } from '../../../src/contract/activities.ts';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { CodedError, type CodeName } from '../../../src/errors.ts';
import { MemoryUpstream } from '../memory-upstream.ts';
import { walkOptions } from './walk-options.ts';

/** All pages of a walk. Each cursor goes through JSON, as it does in a history. */
async function walkAll(upstream: MemoryUpstream, limit: number, root: NamespacePath = []) {
  const pages: string[][] = [];
  let cursor: WalkCursor | undefined = walkFrom(root);
  while (cursor) {
    const page: Awaited<ReturnType<typeof walkTables>> = await walkTables(upstream, cursor, walkOptions(limit));
    pages.push(page.items.map(({ namespace, name }) => [...namespace, name].join('.')));
    cursor = page.cursor && JSON.parse(JSON.stringify(page.cursor));
  }
  return pages;
}

/** An upstream whose page tokens follow one another as `next` says. */
class Looping extends MemoryUpstream {
  override readonly namespaces = [['a'], ['b c']];
  requests = 0;
  readonly #next: (token: string | undefined) => string | undefined;
  readonly #what: 'tables' | 'namespaces';

  constructor(what: 'tables' | 'namespaces', next: (token: string | undefined) => string | undefined) {
    super();
    this.#what = what;
    this.#next = next;
  }

  override async listTables(namespace: NamespacePath, page: { token?: string; size: number }) {
    if (this.#what !== 'tables' || namespace[0] !== 'b c') return { items: [] };
    return this.#page<TableEntry>(page.token, [{ namespace, name: 't', format: 'ICEBERG' }]);
  }

  override async listNamespaces(parent: NamespacePath, page: { token?: string; size: number }) {
    if (this.#what !== 'namespaces' || parent.length > 0) return super.listNamespaces(parent, page);
    return this.#page(page.token, this.namespaces as NamespacePath[]);
  }

  #page<T>(token: string | undefined, items: T[]): Page<T> {
    this.requests += 1;
    if (this.requests > 10_000) throw new Error('the walk does not end');
    const nextToken = this.#next(token);
    return nextToken === undefined ? { items } : { items, nextToken };
  }
}

describe('a walk', () => {
  const upstream = new MemoryUpstream();
  for (const path of ['a', 'a.x', 'a.x.y', 'b', 'c']) upstream.namespaces.push(path.split('.'));
  for (const name of ['a.1', 'a.2', 'a.x.1', 'a.x.y.1', 'a.x.y.2', 'a.x.y.3', 'c.1']) {
    const path = name.split('.');
    upstream.tables.push({ namespace: path.slice(0, -1), name: path.at(-1) as string });
    upstream.views.set(`${name}v`, 1);
  }
  const every = ['a.1', 'a.2', 'a.x.1', 'a.x.y.1', 'a.x.y.2', 'a.x.y.3', 'c.1'];

  it.each([1, 2, 3, 100])(
    'returns every table once, %i per page, with cursors that went through JSON',
    async (limit) => {
      const pages = await walkAll(upstream, limit);
      expect(pages.flat()).toEqual(every);
      expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(limit);
    },
  );

  /** The same upstream; what each of these namespaces answers, and from its first answer on, whether the root lists it. */
  function failing(errors: Record<string, CodeName>, stillListed = true) {
    const closed = Object.assign(new MemoryUpstream(), { namespaces: upstream.namespaces, tables: upstream.tables });
    const { listTables, listNamespaces } = closed;
    const hidden = new Set<string>();
    const guard = (path: NamespacePath) => {
      const code = errors[path.join('.')];
      if (!code) return;
      if (!stillListed) hidden.add(path.join('.'));
      throw new CodedError(code, `${path.join('.')}: ${code}`);
    };
    closed.listTables = async (path, page) => {
      guard(path);
      return listTables.call(closed, path, page);
    };
    closed.listNamespaces = async (path, page) => {
      guard(path);
      const listed = await listNamespaces.call(closed, path, page);
      return { ...listed, items: listed.items.filter((item) => !hidden.has(item.join('.'))) };
    };
    return closed;
  }
  const walked = async (of: MemoryUpstream, isLastAttempt = false) => {
    const { items, refused } = await walkTables(of, walkFrom([]), { ...walkOptions(), isLastAttempt });
    return {
      items: items.map(({ namespace, name }) => [...namespace, name].join('.')),
      refused: refused.map(({ path, error }) => [path.join('.'), error.code]),
    };
  };

  it.each([
    'PERMISSION_DENIED',
    'NOT_FOUND',
    'INVALID_ARGUMENT',
    'FAILED_PRECONDITION',
    'UNIMPLEMENTED',
    'DATA_LOSS',
  ] as const)('goes on after a namespace that its parent lists but that answers with %s', async (code) => {
    const others = every.filter((name) => !name.startsWith('a.x'));
    expect(await walked(failing({ 'a.x': code }))).toEqual({ items: others, refused: [['a.x', code]] });
    // The root of the walk must exist and be readable.
    await expect(walkTables(failing({ 'a.x': code }), walkFrom(['a', 'x']), walkOptions())).rejects.toMatchObject({
      code,
    });
  });

  it('goes on after a namespace that was dropped meanwhile, and does not report it', async () => {
    const others = every.filter((name) => !name.startsWith('c'));
    expect(await walked(failing({ c: 'NOT_FOUND' }, false))).toEqual({ items: others, refused: [] });
  });

  it.each(['UNAVAILABLE', 'DEADLINE_EXCEEDED'] as const)(
    'leaves a namespace out after %s in its last attempt',
    async (code) => {
      await expect(walked(failing({ b: code }))).rejects.toMatchObject({ code });
      expect(await walked(failing({ b: code }), true)).toEqual({ items: every, refused: [['b', code]] });
      // The upstream as a whole is away.
      const away = failing({ b: code });
      let isAway = false;
      const { listTables, listNamespaces } = away;
      away.listTables = async (path, page) => {
        isAway ||= path[0] === 'b';
        return listTables.call(away, path, page);
      };
      away.listNamespaces = async (path, page) => {
        if (isAway) throw new CodedError(code, 'away');
        return listNamespaces.call(away, path, page);
      };
      await expect(walked(away, true)).rejects.toMatchObject({ code, message: `b: ${code}` });
    },
  );

  it.each(['UNAUTHENTICATED', 'RESOURCE_EXHAUSTED'] as const)('ends with %s', async (code) => {
    await expect(walked(failing({ b: code }), true)).rejects.toMatchObject({ code });
  });

  it('lists the children of a namespace once for all its batches, and as often as they have pages', async () => {
    const many = new MemoryUpstream();
    for (let i = 0; i < 1200; i++) {
      many.namespaces.push([`n${i}`]);
      many.tables.push({ namespace: [`n${i}`], name: 't' });
    }
    const { listNamespaces } = many;
    let ofRoot = 0;
    many.listNamespaces = async (path, page) => {
      if (path.length === 0) ofRoot += 1;
      return listNamespaces.call(many, path, page);
    };
    let [cursor, batches, found]: [WalkCursor | undefined, number, number] = [walkFrom([]), 0, 0];
    const shared = walkOptions(100);
    while (cursor) {
      const batch: Awaited<ReturnType<typeof walkTables>> = await walkTables(many, cursor, shared);
      [cursor, batches, found] = [batch.cursor, batches + 1, found + batch.items.length];
    }
    expect([found, batches, ofRoot]).toEqual([1200, 12, 3]);
    // Only the pages of the namespaces where the walk stands are kept.
    expect(shared.children.size).toBe(0);
  });

  it('ends a batch after some requests, even if they are all for children', async () => {
    const many = new MemoryUpstream();
    for (let i = 0; i < 1500; i++) many.namespaces.push([`n${i}`]);
    const below = { ...walkOptions(), filter: { mayTakeIn: () => false, mayTakeBelow: () => true } };
    const { cursor } = await walkTables(many, walkFrom([]), below);
    expect(cursor).toBeDefined();
    expect((await walkTables(many, cursor as WalkCursor, below)).cursor).toBeUndefined();
  });

  it('reports each of many namespaces once whose tables and children are refused', async () => {
    const closed = new MemoryUpstream();
    for (let i = 0; i < 50; i++) closed.namespaces.push([`n${i}`]);
    const { listNamespaces } = closed;
    const refuse = (path: NamespacePath) => {
      if (path.length > 0) throw new CodedError('PERMISSION_DENIED', `${path} is closed`);
    };
    closed.listTables = async (path) => {
      refuse(path);
      return { items: [] };
    };
    closed.listNamespaces = async (path, page) => {
      refuse(path);
      return listNamespaces.call(closed, path, page);
    };
    const names: string[] = [];
    let cursor: WalkCursor | undefined = walkFrom([]);
    while (cursor) {
      const batch: Awaited<ReturnType<typeof walkTables>> = await walkTables(closed, cursor, walkOptions());
      names.push(...batch.refused.map(({ path }) => path.join('.')));
      cursor = batch.cursor;
    }
    expect(names).toEqual(closed.namespaces.map((path) => path.join('.')));
  });

  it('lists the children of each namespace once', async () => {
    const counted = Object.assign(new MemoryUpstream(), { namespaces: upstream.namespaces, tables: upstream.tables });
    const { listNamespaces } = counted;
    const asked: string[] = [];
    counted.listNamespaces = async (path, page) => {
      asked.push(path.join('.'));
      return listNamespaces.call(counted, path, page);
    };
    expect((await walked(counted)).items).toEqual(every);
    expect(asked.sort()).toEqual(['', 'a', 'a.x', 'a.x.y', 'b', 'c']);
  });

  it('walks over views, and over what is below a root, in the same way', async () => {
    const { items: views } = await walkViews(upstream, walkFrom(['a', 'x']), walkOptions());
    expect(views.map(({ namespace, name }) => [...namespace, name].join('.'))).toEqual([
      'a.x.1v',
      'a.x.y.1v',
      'a.x.y.2v',
      'a.x.y.3v',
    ]);
  });

  it('returns a table once that is listed twice', async () => {
    const twice = new MemoryUpstream();
    twice.namespaces.push(['n']);
    for (const name of ['t', 't', 'u', 't']) twice.tables.push({ namespace: ['n'], name });
    expect((await walkAll(twice, 100)).flat()).toEqual(['n.t', 'n.u']);
  });

  it('skips what a server without nesting returns: its root, whatever the parent', async () => {
    const flat = new MemoryUpstream();
    flat.listNamespaces = async () => ({ items: [['a'], ['b']] });
    flat.tables.push({ namespace: ['a'], name: 't' }, { namespace: ['b'], name: 'u' });
    expect((await walkAll(flat, 1)).flat()).toEqual(['a.t', 'b.u']);
  });

  it('ends if namespaces nest endlessly', async () => {
    const deep = new MemoryUpstream();
    deep.listNamespaces = async (parent) => ({ items: [[...parent, 'deeper']] });
    await expect(walkAll(deep, 10)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('more than 100 levels'),
    });
  });
});

describe('pages that repeat endlessly', () => {
  const nexts: [string, (token: string | undefined) => string][] = [
    ['the same token', () => 'again'],
    ['two tokens in turn', (token) => (token === 'a' ? 'b' : 'a')],
    ['a cycle of 40 behind 30 others', (token = '0') => String(Number(token) < 69 ? Number(token) + 1 : 30)],
  ];

  it.each(nexts)('of tables end with an error that names the namespace: %s', async (_, next) => {
    const upstream = new Looping('tables', next);
    await expect(walkAll(upstream, 3)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/repeats its pages when it lists the tables of namespace "b c"/),
    });
  });

  it.each(nexts)('of namespaces too: %s', async (_, next) => {
    await expect(walkAll(new Looping('namespaces', next), 3)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/lists the namespaces of the root namespace/),
    });
  });

  it.each(nexts)('of a listing of names too: %s', async (_, next) => {
    const list = async (_path: NamespacePath, { token }: { token?: string }): Promise<Page<TableEntry>> => ({
      items: [],
      nextToken: next(token),
    });
    await expect(listAllNames(['n'], { what: 'views', list }, 10, () => {})).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('the views of namespace n'),
    });
  });

  it('are noticed after at most three times the number of distinct pages, and never if all differ', () => {
    const run = (tokens: Iterable<string>) => {
      let cycle: PageCycle | undefined;
      let pages = 0;
      for (const token of tokens) {
        pages += 1;
        cycle = followPages(cycle, token);
        if (!cycle) return pages;
      }
      return undefined;
    };
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 200 }), (before, length) => {
        const tokens = function* () {
          for (let i = 0; ; i++) yield String(i < before ? i : before + ((i - before) % length));
        };
        expect(run(tokens())).toBeLessThanOrEqual(3 * (before + length) + 1);
      }),
    );
    expect(run(Array.from({ length: 5_000 }, (_, i) => String(i)))).toBeUndefined();
  });
});
