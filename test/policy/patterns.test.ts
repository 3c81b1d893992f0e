import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fits, hasHost, hostProblem } from '../../src/policy/patterns.ts';

describe('hasHost', () => {
  it.each([
    ['catalog.example.com', 'catalog.example.com', '443', true],
    ['Catalog.Example.com', 'catalog.example.com', '80', true],
    ['catalog.example.com', 'catalog.example.com.', '443', true],
    ['catalog.example.com', 'catalog.example.com.evil.net', '443', false],
    ['catalog.example.com', 'evil-catalog.example.com', '443', false],
    ['catalog.example.com:8181', 'catalog.example.com', '8181', true],
    ['catalog.example.com:8181', 'catalog.example.com', '443', false],
    ['*.acme.internal', 'a.b.acme.internal', '443', true],
    ['*.acme.internal', 'acme.internal', '443', false],
    ['*.acme.internal', 'evilacme.internal', '443', false],
    ['*.acme.internal', '.acme.internal', '443', false],
    ['*', 'anything', '1', true],
    ['*:8181', 'anything', '8182', false],
    ['[::1]:8181', '[::1]', '8181', true],
    ['[::1]', '[::1]', '8181', true],
    ['10.0.0.5', '10.0.0.50', '80', false],
  ])('%s, %s:%s: %s', (pattern, host, port, expected) => {
    expect(hasHost(pattern, host, port)).toBe(expected);
    expect(hostProblem(pattern)).toBeUndefined();
  });

  it.each(['', 'https://a.b', 'a.*.b', '**.b', 'a b', 'a/b', 'a:port'])('%s is no pattern', (pattern) => {
    expect(hostProblem(pattern)).toContain('is not a host');
  });
});

describe('fits', () => {
  it('agrees with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '/'), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, subject) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`, 's');
        expect(fits(pattern, subject)).toBe(expression.test(subject));
      }),
      { numRuns: 2_000 },
    );
  });
});
