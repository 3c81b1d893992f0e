import { expect, it } from '@jest/globals';
import { isThisMachine } from '../../src/policy/this-machine.ts';

it.each([
  'http://localhost:5000',
  'https://LOCALHOST./v1',
  'http://glue.localhost:4566',
  'http://127.0.0.1',
  'http://127.1.2.3:80',
  'http://[::1]:5000',
])('%s is this machine', (url) => {
  expect(isThisMachine(url)).toBe(true);
});

it.each([
  'http://127.0.0.1.example.com',
  'http://localhost.example.com',
  'http://notlocalhost',
  'http://10.0.0.1',
  'https://glue.eu-west-1.amazonaws.com',
  'localhost',
  undefined,
])('%s is not this machine', (url) => {
  expect(isThisMachine(url)).toBe(false);
});
