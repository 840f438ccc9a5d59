import { defineConfig } from 'vitest/config';

/** The tests that Stryker runs against each mutant: fast ones that start no engine. `docs/mutation-testing.md` has the results. */
export default defineConfig({
  test: {
    include: [
      'core/test/engine/**/!(writer-history).test.ts',
      'engines/local-file/test/{extents,file-preparer,formats,group-writer,id-locks,ingest,instance-file}.test.ts',
      'engines/local-file/test/{log-reads,parts,rebuild,replay-ends,ring,segment-log,stored,tail}.test.ts',
      'engines/local-file/test/{wal,wal-files,wal-worker,worker,write-back}.test.ts',
    ],
    // a mutant that hangs is one that is caught
    testTimeout: 5_000,
  },
});
