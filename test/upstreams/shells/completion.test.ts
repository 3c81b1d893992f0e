import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { runCli } from '../../cli/harness.ts';
import { debianProgram } from '../servers/debian.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  // What the scripts call for the names of connectors.
  writeFileSync(join(folder, 'reconciler'), '#!/bin/sh\n[ "$3" = connector ] && printf "lake\\nlocal\\n"\nexit 0\n', {
    mode: 0o755,
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function script(shell: string): Promise<string> {
  const file = join(folder, `completion.${shell}`);
  writeFileSync(file, (await runCli(['completion', shell])).stdout);
  return file;
}

it('completes commands, values and names of connectors in fish', async () => {
  const fish = await debianProgram('fish', ['/usr/bin/fish', '/usr/local/bin/fish', '/bin/fish']);
  const file = await script('fish');
  const env = { ...process.env, HOME: folder, PATH: `${folder}${delimiter}${process.env.PATH}` };
  const complete = (line: string) =>
    execFileSync(fish, ['-c', `source ${file}; complete -C ${JSON.stringify(line)}`], { encoding: 'utf8', env })
      .split('\n')
      .map((each) => each.split('\t')[0])
      .filter(Boolean);
  expect(complete('reconciler connector p')).toEqual(['pause']);
  expect(complete('reconciler connector create x --kind g')).toEqual(['glue']);
  expect(complete('reconciler connector trigger la')).toEqual(['lake']);
});

it('is a script that zsh can read', async () => {
  const zsh = await debianProgram('zsh', ['/usr/bin/zsh', '/usr/local/bin/zsh', '/bin/zsh']);
  execFileSync(zsh, ['-f', '-n', await script('zsh')]);
});
