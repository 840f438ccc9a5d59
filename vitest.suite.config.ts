import { configDefaults, defineConfig } from 'vitest/config';

/**
 * `npm run test:suite`: the long tests: of the suite for engines, of the generator, of engines and the node. Faults by the hundred, kills, whole runs, hours of made-up
 * time, ten thousand of something.
 */
export const SUITE_TESTS: string[] = [
  'conformance/test/{crash-points,crowds,io-faults,late-answers,link-faults,mutants,probes,runners,service,testcontainers-guide}.test.ts',
  'conformance/test/{cli,model,process}/*.test.ts',
  'create-robust-engine/test/*.test.ts',
  'core/test/storage/archive-chaos.test.ts',
  'engines/local-file/test/{conformance,crash,idle-segments,left-in-the-log}.test.ts',
  'engines/objects/test/bill.test.ts',
  'server/test/pace.test.ts',
];

/** For `npm run coverage` alone: `npm run conformance` asks the same engine the same, and more. */
const ASKED_ELSEWHERE = ['engines/local-file/test/conformance.test.ts'];

// vitest leaves one core of two idle of itself
export default defineConfig({
  test: {
    include: SUITE_TESTS,
    exclude: [...configDefaults.exclude, ...ASKED_ELSEWHERE],
    maxWorkers: 2,
    testTimeout: 60_000,
  },
});
