import { expect, it } from '@jest/globals';
import { isExempt } from '../../../src/storage/proxy/no-proxy.ts';

it.each([
  // This machine is never reached through a proxy.
  ['http://localhost:8181', '', true],
  ['http://127.0.0.2/x', '', true],
  ['https://[::1]:9000', '', true],
  ['http://localhost.example.com', '', false],
  // Hosts and what is below them.
  ['https://s3.corp.example', 'corp.example', true],
  ['https://corp.example', 'corp.example', true],
  ['https://CORP.example.', 'corp.EXAMPLE', true],
  ['https://s3.corp.example', '.corp.example', true],
  ['https://corp.example', '.corp.example', true],
  ['https://s3.corp.example', '*.corp.example', true],
  ['https://notcorp.example', 'corp.example', false],
  ['https://corp.example.evil.com', 'corp.example', false],
  ['https://catalog', 'catalog', true],
  // Several entries, and everything.
  ['https://b.example', 'a.example, b.example', true],
  ['https://b.example', 'a.example b.example', true],
  ['https://b.example', 'a.example,,', false],
  ['https://b.example', 'a.example,*', true],
  // Ports.
  ['http://corp.example:8181', 'corp.example:8181', true],
  ['http://corp.example:8182', 'corp.example:8181', false],
  ['https://corp.example', 'corp.example:443', true],
  ['http://corp.example', 'corp.example:443', false],
  ['http://10.1.2.3:9000', '10.1.2.3:9000', true],
  ['http://[fd00::1]:9000', '[fd00::1]:9000', true],
  ['http://[fd00::1]:9001', '[fd00::1]:9000', false],
  // Addresses and networks.
  ['http://10.1.2.3', '10.1.2.3', true],
  ['http://110.1.2.3', '10.1.2.3', false],
  ['http://x.10.1.2.3.example', '10.1.2.3', false],
  ['http://10.1.2.3', '10.0.0.0/8', true],
  ['http://11.1.2.3', '10.0.0.0/8', false],
  ['http://10.1.2.3', '10.0.0.0/99', false],
  ['http://[fd00::1]', 'fd00::/8', true],
  ['http://[fd00::1]', 'fd00::1', true],
  ['http://ten.example', '10.0.0.0/8', false],
])('%s with NO_PROXY=%s: %s', (url, noProxy, exempt) => {
  expect(isExempt(new URL(url), noProxy)).toBe(exempt);
});
