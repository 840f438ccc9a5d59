// Run by node:test, in a process of its own, by ../runners.test.ts: its name keeps vitest away from it.
import { describe, it } from 'node:test';
import { conformance } from '@robustmq/conformance';
import memory from '@robustmq/engine-memory';

conformance({ describe, it, engine: memory });
