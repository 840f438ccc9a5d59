import { defineConfig } from 'vitest/config';

/** `npm run test:containers`: real servers in containers. Two files at a time: each waits for a server of its own for much of its time. */
export default defineConfig({
  test: {
    include: ['engines/*/test/containers/**/*.test.ts', 'test/containers/**/*.test.ts'],
    maxWorkers: 2,
    testTimeout: 120_000,
    // pulling an image, or finding that none can be pulled, is part of it
    hookTimeout: 300_000,
  },
});
