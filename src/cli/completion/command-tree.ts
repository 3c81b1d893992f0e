import type { Command, Option } from 'commander';

/** A command as completions need it. */
export interface CommandNode {
  /** Without the program's name: empty for the program itself, `connector create` for that command. */
  path: string;
  commands: { name: string; summary: string }[];
  options: OptionNode[];
  /** What its first argument names: `connector` for `<connector>`. */
  argument?: string;
  /** The values of its first argument, if they are fixed. */
  choices: readonly string[];
}

export interface OptionNode {
  /** `-h` and `--help`. */
  flags: string[];
  description: string;
  takesValue: boolean;
  choices: readonly string[];
  /** What the value names: `connector` for `--connector <connector>`. */
  value?: string;
}

/** All commands, in their order. The global options of the program are options of each. */
export function commandTree(program: Command): CommandNode[] {
  const globals = program.options.map(optionOf);
  const visit = (command: Command, path: string): CommandNode[] => {
    const commands = command.createHelp().visibleCommands(command);
    const own = command.createHelp().visibleOptions(command).map(optionOf);
    const node: CommandNode = {
      path,
      commands: commands.map((child) => ({
        name: child.name(),
        summary: oneLine(child.summary() || firstSentence(child.description())),
      })),
      options: [...own, ...(command === program ? [] : globals)],
      argument: command.registeredArguments[0]?.name(),
      choices: command.registeredArguments[0]?.argChoices ?? [],
    };
    return [node, ...commands.flatMap((child) => visit(child, `${path} ${child.name()}`.trim()))];
  };
  return visit(program, '');
}

function optionOf({ short, long, description, required, optional, argChoices, flags }: Option): OptionNode {
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description: oneLine(description),
    takesValue: required || optional,
    choices: argChoices ?? [],
    value: /<(\w+)>/.exec(flags)?.[1],
  };
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();
const firstSentence = (text: string) => text.replace(/\.(\s.*)?$/s, '');
