import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those start upstream servers: `npm run test:upstreams`.
    exclude: ['test/upstreams/**', 'node_modules/**'],
    // Tests wait for conditions: this only ends one that hangs, also on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Two cores: the integration tests start a Temporal server and processes of their own.
    maxWorkers: 2,
  },
});
