import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      '{core,conformance,meta,server,engines/*,brokers/*}/test/**/*.test.ts',
      'test/*.test.ts',
      'test/crash/*.test.ts',
    ],
    testTimeout: 20_000,
  },
});
