/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Those start upstream servers: `npm run test:upstreams`.
  testPathIgnorePatterns: ['<rootDir>/test/upstreams/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/\\.build-'],
  watchman: false,
  // The sources are ES modules, and tests run them as such.
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' }],
  },
  testEnvironment: 'node',
  setupFiles: ['<rootDir>/test/jest/node-errors.ts'],
  // Tests wait for conditions: this only ends one that hangs, also on a busy machine.
  testTimeout: 120_000,
  // Two cores: the integration tests start a Temporal server and processes of their own.
  maxWorkers: 2,
  // A worker keeps what the files that it ran have loaded. It is started anew after a file once it is larger than this.
  workerIdleMemoryLimit: '256MB',
};
