import { escapeControls } from '../../text.ts';
import { asTyped } from './as-typed.ts';
import { painter } from './colour.ts';

/** Prints an error to stderr, and below it what to do about it. */
export function writeError(message: string, hint?: string): void {
  const paint = painter(process.stderr);
  process.stderr.write(`${paint('bad', 'error:')} ${escapeControls(asTyped(message))}\n`);
  if (hint) process.stderr.write(`${paint('dim', `hint: ${escapeControls(asTyped(hint))}`)}\n`);
}
