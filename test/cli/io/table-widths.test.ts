import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { displayWidth } from '../../../src/cli/io/display-width.ts';
import { count, time } from '../../../src/cli/io/format.ts';
import { type Column, TablePrinter } from '../../../src/cli/io/table-printer.ts';
import { JOB_COLUMNS } from '../../../src/cli/job/list.ts';
import { PLAN_COLUMNS } from '../../../src/cli/plan/get.ts';
import { ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';

beforeEach(() => stubEnv('NO_COLOR', '1'));
afterEach(unstubAllEnvs);

interface Row {
  name: string;
  rows: number;
  at: Date;
  note: string;
  bound: string;
  path: string;
}

const COLUMNS: Column<Row>[] = [
  { title: 'NAME', value: (r) => r.name, min: 20 },
  { title: 'ROWS', value: (r) => count(r.rows), align: 'right' },
  { title: 'AT', value: (r) => time(r.at), weight: 5 },
  { title: 'MAX', value: (r) => r.bound, weight: 4, min: 8 },
  { title: 'PATH', value: (r) => r.path, weight: 3, min: 24 },
  { title: 'NOTE', value: (r) => r.note, below: true },
];

const terminal = (columns: number) => ({ isTTY: true, columns });
const row = (more: Partial<Row> = {}): Row => ({
  name: 'sales.orders',
  rows: 1_234_567,
  at: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
  note: 'all went well',
  bound: '42',
  path: '/warehouse/sales/orders/data/00000-0-3b819cb0-516a-4136-b54b-1d48151331ca.parquet',
  ...more,
});

const letters = fc.constantFrom('a', 'Z', '_', '-', ' ', 'é', 'e\u0301', '日', '한', '👩‍👩‍👧‍👦', '🎉', '/');
const text = (maxLength: number) => fc.array(letters, { maxLength }).map((parts) => parts.join(''));
const rows = fc.array(
  fc.record({
    name: text(200),
    rows: fc.integer({ min: 0, max: 2 ** 53 - 1 }),
    at: fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
    note: fc.array(text(40), { maxLength: 12 }).map((words) => words.join(' ')),
    bound: fc.oneof(text(80), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }).map(String)),
    path: text(300),
  }),
  { minLength: 1, maxLength: 6 },
);

describe('a table on a terminal', () => {
  it('has no line that is longer than the terminal, and no number that is cut', () => {
    fc.assert(
      fc.property(rows, rows, fc.integer({ min: 60, max: 200 }), (first, second, columns) => {
        const printer = new TablePrinter(COLUMNS, terminal(columns));
        const lines = (printer.render(first) + printer.render(second)).split('\n');
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
        for (const { rows: n, at, bound } of [...first, ...second]) {
          expect(lines.some((line) => line.includes(count(n)))).toBe(true);
          if (!printer.hidden.includes('AT')) expect(lines.join('\n')).toContain(time(at));
          if (/^-?\d+$/.test(bound) && !printer.hidden.includes('MAX')) expect(lines.join('\n')).toContain(bound);
        }
      }),
    );
  });

  it('aligns wide characters and combining marks', () => {
    const names = ['日本語', 'e\u0301e\u0301', '👩‍👩‍👧‍👦', 'plain'];
    const lines = new TablePrinter(COLUMNS.slice(0, 2), terminal(80))
      .render(names.map((name) => row({ name })))
      .trimEnd();
    expect(lines.split('\n').map((line) => displayWidth(line))).toEqual([17, 17, 17, 17, 17]);
  });

  it('leaves out the columns of least weight, and names them', () => {
    const titles = (columns: number) => {
      const printer = new TablePrinter(COLUMNS, terminal(columns));
      const [head = ''] = printer.render([row({ bound: 'x'.repeat(30), name: 'n'.repeat(40) })]).split('\n');
      return { shown: head.split(/\s+/), hidden: printer.hidden };
    };
    expect(titles(200).shown).toEqual(['NAME', 'ROWS', 'AT', 'MAX', 'PATH', 'NOTE'].slice(0, titles(200).shown.length));
    expect(titles(90)).toEqual({ shown: ['NAME', 'ROWS', 'AT', 'MAX', 'PATH'], hidden: [] });
    expect(titles(75)).toEqual({ shown: ['NAME', 'ROWS', 'AT', 'MAX'], hidden: ['PATH'] });
    expect(titles(60)).toEqual({ shown: ['NAME', 'ROWS', 'AT'], hidden: ['MAX', 'PATH'] });
  });

  it('prints a sentence below its row, wrapped between words', () => {
    const note =
      'Partial failure (2): sales.orders: DATA_LOSS: the manifest list has 1,234,567 entries, and 1,234,566 were read.';
    const lines = new TablePrinter(COLUMNS.slice(0, 1).concat(COLUMNS.slice(5)), terminal(60))
      .render([row({ note })])
      .trimEnd();
    expect(lines.split('\n')).toEqual([
      'NAME',
      'sales.orders',
      '    Partial failure (2): sales.orders: DATA_LOSS: the',
      '    manifest list has 1,234,567 entries, and 1,234,566 were',
      '    read.',
    ]);
  });

  it('prints commands in a sentence as they work in this shell', () => {
    stubEnv('PATH', '/nowhere');
    const note = 'no worker polls: start one with `reconciler worker`';
    const lines = new TablePrinter(COLUMNS, terminal(200)).render([row({ note })]);
    expect(lines).toContain('start one with `npx reconciler worker`');
  });

  it('never shortens the id of a job, which other commands need, at any width', () => {
    const jobId = `reconcile-${'a-long-name-'.repeat(4)}x7fpf2-2026-11-30T13:39:03Z`;
    const job = ReconcileJob.create({ jobId, connectorName: 'a-long-name', message: 'done' });
    for (const columns of [60, 80, 120, 160])
      expect(new TablePrinter(JOB_COLUMNS, terminal(columns)).render([job])).toContain(`\n${jobId} `);
  });

  it('never shortens the partition of a file', () => {
    const partition = [
      { name: 'scheduled_month', readable: '2013-11' },
      { name: 'origin', readable: 'JFK' },
      { name: 'and_a_long_name', readable: 'with-a-long-value' },
    ];
    const file = { filePath: `/lake/${'x'.repeat(100)}.parquet`, recordCount: 293n, fileSizeInBytes: 8_500n };
    const lines = new TablePrinter(PLAN_COLUMNS, terminal(80)).render([
      { ...file, partition, deleteFiles: [] } as never,
    ]);
    expect(lines).toContain('\n    scheduled_month=2013-11, origin=JFK, and_a_long_name=with-a-long-value\n');
  });

  it('prints the titles again if a later page needs other columns', () => {
    const printer = new TablePrinter(COLUMNS.slice(0, 4), terminal(80));
    expect(printer.render([row()])).toMatch(/^NAME +ROWS +AT +MAX\n/);
    expect(printer.render([row({ rows: 7 })])).toMatch(/^sales/);
    expect(printer.render([row({ name: 'n'.repeat(70), bound: '9'.repeat(38) })])).toMatch(/^NAME +ROWS +AT\n/);
  });

  it('has everything in a pipe', () => {
    const all = row({ name: 'n'.repeat(200), note: 'x '.repeat(300).trim() });
    const printed = new TablePrinter(COLUMNS, { columns: 60 }).render([all]);
    for (const cell of [all.name, all.note, all.path]) expect(printed).toContain(cell);
    expect(printed.trimEnd().split('\n')).toHaveLength(2);
  });
});
