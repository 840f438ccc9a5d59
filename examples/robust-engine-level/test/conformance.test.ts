import { describe, it } from 'node:test';
import { conformance } from '@robustmq/conformance';
import engine from '../src/index.ts';

// one test for each promise; what the capabilities do not claim is not asked
conformance({ describe, it, engine, module: import.meta.resolve('../src/index.ts') });
