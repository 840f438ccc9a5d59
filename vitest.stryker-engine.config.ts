import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const inline = fileURLToPath(new URL('engines/local-file/test/inline-wal-worker.ts', import.meta.url));

/** As `vitest.stryker.config.ts`, with tests that open local-file: its log is written without a thread, so a start takes milliseconds. */
export default defineConfig({
  resolve: { alias: [{ find: /^.*\/wal-worker\.ts$/, replacement: inline }] },
  test: {
    include: ['engines/local-file/test/{checkpointer,memory-engine,memory-open,refusals,segment-writer}.test.ts'],
    // a mutant that hangs is one that is caught
    testTimeout: 5_000,
  },
});
