import { defineConfig } from 'vitest/config';

/** `npm test`: everything that needs no root, no other server and nothing beyond npm's packages. */
export default defineConfig({
  test: {
    include: [
      '{core,conformance,create-robust-engine,meta,server,engines/*,brokers/*}/test/**/*.test.ts',
      'test/*.test.ts',
      'test/crash/*.test.ts',
      'test/packed/*.test.ts',
      'bench/*.test.ts',
    ],
    testTimeout: 20_000,
  },
});
