import { defineConfig } from 'vitest/config';

/** `npm run test:containers`: real servers in containers. One file at a time: they share the machine with a server each. */
export default defineConfig({
  test: {
    include: ['engines/*/test/containers/**/*.test.ts', 'test/containers/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    // pulling an image, or finding that none can be pulled, is part of it
    hookTimeout: 300_000,
  },
});
