import type { CommandNode } from './command-tree.ts';
import { NAMED, namesCommand } from './named.ts';
import { quoted } from './quoted.ts';

/** A completion script for bash 3.2 and newer. */
export function bashScript(tree: readonly CommandNode[]): string {
  const subcommands = tree.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `# bash completion of reconciler; made by \`reconciler completion bash\`
_reconciler() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' options='' names='' i at
  for ((i = 1; i < COMP_CWORD; i++)); do
    at="\${path:+$path }\${COMP_WORDS[i]}"
    case "$at" in
      ${subcommands.join(' | ')}) path="$at" ;;
    esac
  done
  COMPREPLY=()
  case "$path $prev" in
${tree.flatMap(valueCases).join('\n')}
  esac
  if [[ -z $words && -z $names ]]; then
    case "$path" in
${tree.map(wordCase).join('\n')}
    esac
    if [[ $cur == -* || -z $words$names ]]; then words="$options" names=''; fi
  fi
  if [[ -n $names ]]; then words="$words $(eval "$names" 2>/dev/null)"; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _reconciler reconciler
`;
}

/** Values of options; an option with any other value leaves the completion to the shell, which completes file names. */
function valueCases({ path, options }: CommandNode): string[] {
  return options
    .filter(({ takesValue }) => takesValue)
    .map(({ flags, choices, value }) => {
      const pattern = flags.map((flag) => quoted(`${path} ${flag}`)).join(' | ');
      if (choices.length > 0) return `    ${pattern}) words=${quoted(choices.join(' '))} ;;`;
      if (NAMED.has(value ?? '')) return `    ${pattern}) names=${quoted(namesCommand(value ?? ''))} ;;`;
      return `    ${pattern}) return ;;`;
    });
}

function wordCase({ path, commands, options, argument, choices }: CommandNode): string {
  const words = [...commands.map(({ name }) => name), ...choices].join(' ');
  const flags = options.flatMap((option) => option.flags).join(' ');
  const names = NAMED.has(argument ?? '') ? ` names=${quoted(namesCommand(argument ?? ''))}` : '';
  return `      ${quoted(path)}) words=${quoted(words)} options=${quoted(flags)}${names} ;;`;
}
