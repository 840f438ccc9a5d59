import { defineConfig } from 'vitest/config';

/** `npm run test:suite`: the long tests of the suite for engines and of the generator: faults by the hundred, kills, whole runs. */
export const SUITE_TESTS: string[] = [
  'conformance/test/{crash-points,crowds,io-faults,link-faults,mutants,probes,runners,service,testcontainers-guide}.test.ts',
  'conformance/test/{cli,model,process}/*.test.ts',
  'create-robust-engine/test/*.test.ts',
];

export default defineConfig({ test: { include: SUITE_TESTS, testTimeout: 60_000 } });
