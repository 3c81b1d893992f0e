import { defineConfig } from 'vitest/config';

/** Tests against real upstream servers, which are installed into a cache the first time: `npm run test:upstreams`. */
export default defineConfig({
  test: {
    include: ['test/upstreams/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
    globalSetup: ['test/upstreams/servers/install.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Tests that mostly wait (for retries) run side by side where they say so.
    maxConcurrency: 10,
  },
});
