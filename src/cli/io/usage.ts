import { truncate } from '../../text.ts';

/** Words for the errors that commander reports about a command line. */

/**
 * Rewrites a message of commander so that it begins with the option as people type it: `--interval '5 parsecs' is not a duration`. Other
 * messages are returned unchanged.
 */
export function describeUsage(message: string): string {
  const [, flag = '', placeholder = '', value = '', problem = ''] =
    /^error: option '(?:-\w, )?(--[\w-]+)([^']*)' argument '([\s\S]*)' is invalid\. ([\s\S]*)$/.exec(message) ?? [];
  if (flag !== '') {
    // A text without `=` may be a header or password whose key was forgotten.
    const shown = placeholder.includes('key=value') ? flag : `${flag} '${shownValue(value)}'`;
    return `error: ${shown} ${problemText(problem)}`;
  }
  return message
    .replace(/^error: required option '(?:-\w, )?(--[\w-]+)[^']*' not specified/, 'error: $1 is required')
    .replace(/^error: option '(?:-\w, )?((--[\w-]+)[^']*)' argument missing/, 'error: $2 needs a value: $1')
    .replace(/^error: missing required argument '([^']+)'/, 'error: <$1> is missing');
}

/** A wrong value as errors show it: shortened, and without the user and password of what should have been a URI. */
export function shownValue(text: string): string {
  return truncate(text.replace(/[^/@\s]+@/g, '***@'), 200);
}

/** What is wrong with a value, after the value: commander's own text about choices, or one of the parsers in `options.ts`. */
export function problemText(message: string): string {
  return message.replace(/^Allowed choices are (.*)\.(?=\n|$)/, 'is not one of $1');
}
