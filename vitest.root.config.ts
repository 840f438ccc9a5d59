import { defineConfig } from 'vitest/config';

/** `npm run test:root`: what needs the rights to mount a small file system. */
export default defineConfig({
  test: { include: ['test/root/**/*.test.ts'], fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000 },
});
