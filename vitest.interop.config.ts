import { defineConfig } from 'vitest/config';

/** `npm run test:interop`: real clients that nobody here wrote. One file at a time: they share the machine with a server each. */
export default defineConfig({
  test: {
    include: ['test/interop/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 300_000,
  },
});
