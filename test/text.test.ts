import { expect, it } from '@jest/globals';
import { escapeControls, escapeInJson, escapeMarkdown } from '../src/text.ts';

const NAME = 'a\u202eb\u009bc\u2029d';

it('shows characters that are not seen', () => {
  expect(escapeControls(`${NAME}\0\u001b\t\n`)).toBe('a\\u202eb\\x9bc\\u2029d\\x00\\x1b\t\n');
  expect(escapeMarkdown('a*\u202e')).toBe('a\\*\\u202e');
});

it('keeps the meaning of JSON', () => {
  const line = JSON.stringify({ table: NAME });
  expect(escapeInJson(line)).toBe('{"table":"a\\u202eb\\u009bc\\u2029d"}');
  expect(JSON.parse(escapeInJson(line))).toEqual({ table: NAME });
});
