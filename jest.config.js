/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // These start upstream servers: `npm run test:upstreams`.
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
  // Tests wait for conditions, so this only ends a test that hangs, on a busy machine too.
  testTimeout: 120_000,
  // For two cores: the integration tests start a Temporal server and processes of their own.
  maxWorkers: 2,
  // A worker keeps what its test files have loaded. It is restarted after a file if it is larger than this.
  workerIdleMemoryLimit: '256MB',
};
