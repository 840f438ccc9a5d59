import { defineConfig } from 'vitest/config';

/** `npm run test:suite`: the long tests of the suite for engines, of the generator and of the S3 engine: faults by the hundred, kills, whole runs, hours of made-up time. */
export const SUITE_TESTS: string[] = [
  'conformance/test/{crash-points,crowds,io-faults,link-faults,mutants,probes,runners,service,testcontainers-guide}.test.ts',
  'conformance/test/{cli,model,process}/*.test.ts',
  'create-robust-engine/test/*.test.ts',
  'core/test/storage/archive-chaos.test.ts',
  'engines/local-file/test/conformance.test.ts',
  'engines/objects/test/bill.test.ts',
];

export default defineConfig({ test: { include: SUITE_TESTS, testTimeout: 60_000 } });
