import { defineConfig } from 'vitest/config';

/** `npm run test:fsync`: strace as the witness that a reply comes after the disk has the record. */
export default defineConfig({
  test: { include: ['test/fsync/**/*.test.ts'], fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000 },
});
