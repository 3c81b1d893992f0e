import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from './harness.ts';

let folder: string;
let script: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  // What the scripts call for the names of connectors and jobs.
  const program =
    '#!/bin/sh\n[ "$1 $2" = "completion names" ] && [ "$3" = connector ] && printf "lake\\nlocal\\n"\nexit 0\n';
  writeFileSync(join(folder, 'reconciler'), program, { mode: 0o755 });
  const { code, stdout } = await runCli(['completion', 'bash']);
  expect(code).toBe(0);
  script = join(folder, 'completion.bash');
  writeFileSync(script, stdout);
});
afterAll(() => rmSync(folder, { recursive: true }));

const env = () => ({ ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` });

/** What bash completes for these words, of which the last is incomplete. */
function inBash(...words: string[]): string[] {
  const code =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is bash
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reconciler; printf "%s\\n" "${COMPREPLY[@]}"';
  const args = ['-c', code, 'bash', script, 'reconciler', ...words];
  return execFileSync('bash', args, { encoding: 'utf8', env: env() }).split('\n').filter(Boolean);
}

describe('in bash', () => {
  it('completes commands, also after global options', () => {
    expect(inBash('co')).toEqual(['codec', 'connector', 'completion']);
    expect(inBash('connector', 'p')).toEqual(['pause']);
    expect(inBash('--json', 'job', 'li')).toEqual(['list']);
    expect(inBash('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('completes options and their values', () => {
    expect(inBash('connector', 'create', 'x', '--kin')).toEqual(['--kind']);
    expect(inBash('connector', 'create', 'x', '--kind', 'g')).toEqual(['glue']);
    expect(inBash('job', 'report', 'x', '--format', '')).toEqual(['markdown', 'json']);
    expect(inBash('job', 'list', '--js')).toEqual(['--json']);
    // A file name is left to bash.
    expect(inBash('up', '--data-dir', '')).toEqual([]);
  });

  it('completes the names of connectors', () => {
    expect(inBash('connector', 'trigger', 'la')).toEqual(['lake']);
    expect(inBash('job', 'list', '--connector', '')).toEqual(['lake', 'local']);
  });
});
