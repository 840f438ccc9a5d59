import { defineConfig } from 'vitest/config';

/** `npm run test:native`: real servers, started as processes. Two files at a time: each waits for a server of its own for much of its time. */
export default defineConfig({
  test: {
    include: ['engines/*/test/native/**/*.test.ts', 'test/native/**/*.test.ts'],
    maxWorkers: 2,
    // daemons of Java take their time on a full machine
    testTimeout: 240_000,
    hookTimeout: 60_000,
  },
});
