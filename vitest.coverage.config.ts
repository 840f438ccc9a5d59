import { defineConfig } from 'vitest/config';

/** `npm run coverage`: branches of the wrapper and of local-file by their own tests. `docs/coverage.md` lists what is left. */
export default defineConfig({
  test: {
    include: ['core/test/engine/**/*.test.ts', 'engines/local-file/test/**/*.test.ts'],
    testTimeout: 120_000,
    coverage: {
      enabled: true,
      provider: 'v8',
      include: ['core/src/engine/**/*.ts', 'engines/local-file/src/**/*.ts'],
      reporter: ['text', 'json'],
      reportsDirectory: '.cache/coverage',
      reportOnFailure: true,
      thresholds: {
        'core/src/engine/**': { branches: 95 },
        'engines/local-file/src/**': { branches: 95 },
      },
    },
  },
});
