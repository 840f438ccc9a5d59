import { configDefaults, defineConfig } from 'vitest/config';
import { SUITE_TESTS } from './vitest.suite.config.ts';

/** `npm test`: everything that needs no root, no other server and nothing beyond npm's packages. */
export default defineConfig({
  test: {
    include: [
      '{core,conformance,create-robust-engine,meta,server,engines/*,brokers/*}/test/**/*.test.ts',
      'test/*.test.ts',
      'test/crash/*.test.ts',
      'test/matrix/*.test.ts',
      'test/packed/*.test.ts',
      'bench/*.test.ts',
    ],
    exclude: [...configDefaults.exclude, ...SUITE_TESTS, '**/test/native/**', '**/test/containers/**'],
    // vitest leaves one core of two idle of itself; and many of these wait for a disk or a clock
    maxWorkers: 3,
    testTimeout: 20_000,
  },
});
