import type { CommandNode, OptionNode } from './command-tree.ts';
import { NAMED, namesCommand } from './named.ts';
import { quoted } from './quoted.ts';

/** A completion script for zsh. */
export function zshScript(tree: readonly CommandNode[]): string {
  const subcommands = tree.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `#compdef reconciler
# zsh completion of reconciler; made by \`reconciler completion zsh\`
_reconciler() {
  local cur="\${words[CURRENT]}" prev="\${words[CURRENT-1]}" cmd='' at i
  local -a commands options names
  for ((i = 2; i < CURRENT; i++)); do
    at="\${cmd:+$cmd }\${words[i]}"
    case "$at" in
      ${subcommands.join('|')}) cmd="$at" ;;
    esac
  done
  case "$cmd $prev" in
${tree.flatMap(valueCases).join('\n')}
  esac
  case "$cmd" in
${tree.map(wordCase).join('\n')}
  esac
  if [[ $cur == -* ]]; then
    _describe -o option options
    return
  fi
  (( $#commands )) && _describe command commands
  (( $#names )) && compadd -a names
  (( $#commands + $#names )) || _describe -o option options
}
if [[ $funcstack[1] == _reconciler ]]; then _reconciler "$@"; else compdef _reconciler reconciler; fi
`;
}

const listed = (argument: string) => `names=(\${(f)"$(${namesCommand(argument)} 2>/dev/null)"})`;

function valueCases({ path, options }: CommandNode): string[] {
  return options
    .filter(({ takesValue }) => takesValue)
    .map(({ flags, choices, value }) => {
      const pattern = flags.map((flag) => quoted(`${path} ${flag}`)).join('|');
      if (choices.length > 0) return `    ${pattern}) compadd -- ${choices.map(quoted).join(' ')}; return ;;`;
      if (NAMED.has(value ?? '')) return `    ${pattern}) ${listed(value ?? '')}; compadd -a names; return ;;`;
      return `    ${pattern}) _files; return ;;`;
    });
}

function wordCase({ path, commands, options, argument, choices }: CommandNode): string {
  const described = [...commands.map(({ name, summary }) => `${name}:${summary}`), ...choices].map(quoted);
  const names = NAMED.has(argument ?? '') ? `; ${listed(argument ?? '')}` : '';
  return `    ${quoted(path)}) commands=(${described.join(' ')}); options=(${options.flatMap(describedFlags).join(' ')})${names} ;;`;
}

const describedFlags = ({ flags, description }: OptionNode) => flags.map((flag) => quoted(`${flag}:${description}`));
