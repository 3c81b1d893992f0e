import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { plurals } from '../../text.ts';
import { type Context, withCatalog } from '../catalog-session/context.ts';
import { EXIT, ExitCode, UsageError } from '../io/errors.ts';
import { printable } from '../io/format.ts';
import { each } from '../io/options.ts';
import { writeError } from '../io/write-error.ts';
import { changeLines } from './differences.ts';
import { type Plan, planOf, type Step } from './plan.ts';
import { type Declared, readDeclarations } from './read-file.ts';

const HELP = `
A file of YAML or JSON holds connectors: one per document, a list, or a list
under the key 'connectors'. Its keys are the options of \`connector create\`
without dashes, and 'name'; 'state' (active or paused) is left alone unless the
file has it. A key that is missing has its default value. docs/connectors.md
has a complete example; \`connector get NAME -o yaml\` prints a connector so.

Nothing is changed if anything in the files is wrong. Otherwise each connector
is created or updated by itself; one that someone else changes at the same time
is not overwritten. --prune deletes connectors that \`apply\` created with the
same --set and that the files no longer have. Connectors that were created
otherwise are never deleted, and no tables.

Exit codes: 0 applied, or nothing to do; 1 a connector failed; 2 the files are
wrong, nothing was changed; 4 --dry-run found differences.

Examples:
  $ reconciler apply -f connectors.yaml --dry-run
  $ reconciler apply -f connectors.yaml
  $ reconciler apply -f team-a.yaml -f shared.yaml --set team-a --prune --yes
  $ reconciler connector get lake -o yaml | reconciler apply -f -`;

interface ApplyOptions {
  file: string[];
  dryRun?: boolean;
  prune?: boolean;
  set: string;
  yes?: boolean;
}

export function define(command: Command): void {
  command
    .requiredOption('-f, --file <file>', 'file of YAML or JSON, or - for stdin; repeatable', each)
    .option('--dry-run', 'change nothing; show what differs, key by key')
    .option('--prune', 'delete the connectors of this set that the files do not have; their tables stay')
    .option('--set <name>', 'set that created connectors belong to, for --prune', 'default')
    .option('--yes', 'confirm the deletions of --prune')
    .addHelpText('after', HELP)
    .action(withCatalog(apply));
}

async function apply(context: Context, { file, dryRun, prune, set, yes }: ApplyOptions): Promise<void> {
  const plan = await planOf(context, readAll(file), { set, prune: prune ?? false });
  if (plan.problems.length > 0) throw wrongFiles(plan.problems);
  if (dryRun) return showOnly(context, plan);
  const deletions = plan.steps.filter(({ action }) => action === 'delete').map(({ name }) => name);
  if (deletions.length > 0 && !yes) await confirm(deletions, file);
  let failed = false;
  for (const step of plan.steps) {
    const problems = await step.run({ validateOnly: false }).then(
      () => [],
      (error) => step.problemsOf(error),
    );
    await print(context, step, problems.length > 0 ? { error: problems.join('; ') } : {});
    for (const problem of problems) writeError(problem);
    failed ||= problems.length > 0;
  }
  if (failed) throw new ExitCode(EXIT.FAILED);
  context.out.note(summary(plan, DONE));
}

/** @throws UsageError with everything that is wrong with the files */
function readAll(files: string[]): Declared[] {
  const declared: Declared[] = [];
  const problems: string[] = [];
  const places = new Map<string, string>();
  for (const file of files) {
    const contents = readDeclarations(file === '-' ? 'stdin' : file, textOf(file));
    problems.push(...contents.problems);
    for (const connector of contents.declared) {
      const { name, where } = connector;
      const first = places.get(name);
      if (first) problems.push(`${where('name')}: connector '${name}' is also declared at ${first}`);
      places.set(name, where('name'));
      declared.push(connector);
    }
  }
  if (problems.length > 0) throw wrongFiles(problems);
  return declared;
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'it does not exist' : code === 'EISDIR' ? 'it is a folder' : (error as Error).message;
    throw new UsageError(`--file '${file}' cannot be read: ${why}`);
  }
}

function wrongFiles(problems: string[]): UsageError {
  const lines = problems.map((problem) => printable(problem));
  return new UsageError(
    lines.length === 1 ? lines[0]! : `${lines.length} problems\n${lines.join('\n')}`,
    'nothing was changed',
  );
}

/** @throws ExitCode 4 if anything differs */
async function showOnly(context: Context, plan: Plan): Promise<void> {
  for (const step of plan.steps) await print(context, step, { dryRun: true });
  context.out.note(summary(plan, WOULD));
  if (plan.steps.some(({ action }) => action !== 'unchanged')) throw new ExitCode(EXIT.DIFFERENT);
}

/** @throws UsageError unless someone agrees */
async function confirm(names: string[], files: string[]): Promise<void> {
  const what = `--prune deletes ${plurals([names.length, 'connector'])}: ${names.map(printable).join(', ')}`;
  if (!process.stdin.isTTY || files.includes('-'))
    throw new UsageError(what, 'add --yes to confirm; nothing was changed');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${what}\nTheir tables stay. Continue? [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('not confirmed', 'nothing was changed');
}

const DONE = { create: 'created', update: 'updated', delete: 'deleted', unchanged: 'unchanged' };
const WOULD = { create: 'would create', update: 'would update', delete: 'would delete', unchanged: 'unchanged' };

function print({ out }: Context, step: Step, { dryRun = false, error }: { dryRun?: boolean; error?: string }) {
  const { action, name, changes } = step;
  const lines = changes.flatMap(changeLines);
  const json = { name, action, changes, dryRun, ...(error !== undefined && { error }) };
  return out.message({ toJSON: () => json }, json, () => {
    const word = error !== undefined ? 'failed' : (dryRun ? WOULD : DONE)[action];
    // A new connector consists of changes: they are shown in advance only.
    const shown = action === 'update' || (action === 'create' && dryRun) ? lines : [];
    return [`${word.padEnd(13)} ${printable(name)}`, ...shown.map((line) => `${' '.repeat(14)}${printable(line)}`)];
  });
}

function summary({ steps }: Plan, words: typeof DONE): string {
  const counts = Object.entries(words).map(([action, word]) => {
    const count = steps.filter((step) => step.action === action).length;
    return count > 0 ? `${word} ${count}` : '';
  });
  return counts.filter(Boolean).join(', ') || 'the files declare no connectors';
}
