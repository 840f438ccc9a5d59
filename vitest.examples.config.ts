import { defineConfig } from 'vitest/config';

/** `npm run test:examples`: the engines of examples/, as users would have them. One file at a time: they share the machine with a server each. */
export default defineConfig({
  test: {
    include: ['test/examples/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 480_000,
  },
});
