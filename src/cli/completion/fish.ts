import type { CommandNode, OptionNode } from './command-tree.ts';
import { NAMED, namesCommand } from './named.ts';

/** A completion script for fish. */
export function fishScript(tree: readonly CommandNode[]): string {
  const subcommands = tree.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `# fish completion of reconciler; made by \`reconciler completion fish\`
function __reconciler_at
  set -l path
  for word in (commandline -opc)[2..]
    set -l at (string join -- ' ' $path $word)
    switch $at
      case ${subcommands.join(' ')}
        set path $at
    end
  end
  test "$path" = "$argv[1]"
end
complete -c reconciler -f
${tree.flatMap(completions).join('\n')}
`;
}

function completions({ path, commands, options, argument, choices }: CommandNode): string[] {
  const at = `complete -c reconciler -n ${quoted(`__reconciler_at ${quoted(path)}`)}`;
  return [
    ...commands.map(({ name, summary }) => `${at} -a ${quoted(name)} -d ${quoted(summary)}`),
    ...options.map((option) => `${at} ${optionArgs(option)} -d ${quoted(option.description)}`),
    ...choices.map((choice) => `${at} -a ${quoted(choice)}`),
    ...(NAMED.has(argument ?? '') ? [`${at} -a ${quoted(`(${namesCommand(argument ?? '')} 2>/dev/null)`)}`] : []),
  ];
}

function optionArgs({ flags, takesValue, choices, value }: OptionNode): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
  if (!takesValue) return names;
  if (choices.length > 0) return `${names} -xa ${quoted(choices.join(' '))}`;
  return NAMED.has(value ?? '')
    ? `${names} -xa ${quoted(`(${namesCommand(value ?? '')} 2>/dev/null)`)}`
    : `${names} -rF`;
}

/** fish has other rules than sh: a backslash escapes within single quotes. */
const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
