import base from './jest.config.js';

/**
 * Tests against real upstream servers, which are installed into a cache the first time: `npm run test:upstreams`.
 *
 * @type {import('jest').Config}
 */
export default {
  ...base,
  testMatch: ['<rootDir>/test/upstreams/**/*.test.ts'],
  testPathIgnorePatterns: [],
  globalSetup: './test/upstreams/servers/install.ts',
  // Hooks start servers.
  testTimeout: 300_000,
  // Limit for `it.concurrent`, which tests use that mostly wait for retries.
  maxConcurrency: 10,
};
