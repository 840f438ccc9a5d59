import { defineConfig } from 'vitest/config';

/** `npm run test:native`: real servers, started as processes. One file at a time: they share the machine with a server each. */
export default defineConfig({
  test: {
    include: ['engines/*/test/native/**/*.test.ts', 'test/native/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
