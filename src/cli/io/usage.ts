import { truncate } from '../../text.ts';
import { didYouMean } from './did-you-mean.ts';

/** Words for the errors that commander reports about a command line. */

/**
 * What commander reports, in the words of our own errors: it begins with the option as people type it (`--interval '5 parsecs' is not a
 * duration`). Other messages lose only their `error: `.
 */
export function describeUsage(message: string): string {
  const [, flag = '', placeholder = '', value = '', problem = ''] =
    /^error: option '(?:-\w, )?(--[\w-]+)([^']*)' argument '([\s\S]*)' is invalid\. ([\s\S]*)$/.exec(message) ?? [];
  if (flag !== '') {
    // A text without `=` may be a header or password whose key was forgotten.
    const shown = placeholder.includes('key=value') ? flag : `${flag} '${shownValue(value)}'`;
    return `${shown} ${problemText(problem.trimEnd())}`;
  }
  return message
    .trimEnd()
    .replace(/^error: /, '')
    .replace(/^required option '(?:-\w, )?(--[\w-]+)[^']*' not specified/, '$1 is required')
    .replace(/^option '(?:-\w, )?((--[\w-]+)[^']*)' argument missing/, '$2 needs a value: $1')
    .replace(/^missing required argument '([^']+)'/, '<$1> is missing')
    .replace(
      /^command-argument value '([\s\S]*)' is invalid for argument '([^']+)'\. ([\s\S]*)$/,
      (_, value, argument, problem) => `<${argument}> '${shownValue(value)}' ${problemText(problem)}`,
    )
    .replace(/\n\(Did you mean (?:one of )?(.*)\?\)$/, (_, names: string) => `; ${didYouMean(names.split(', '))}`);
}

/** A wrong value as errors show it: shortened, and without the user and password of what should have been a URI. */
export function shownValue(text: string): string {
  return truncate(text.replace(/[^/@\s]+@/g, '***@'), 200);
}

/** What is wrong with a value, after the value: commander's own text about choices, or one of the parsers in `options.ts`. */
export function problemText(message: string): string {
  return message.replace(/^Allowed choices are (.*)\.(?=\n|$)/, 'is not one of $1');
}
