/** For tests of core, of engines and of brokers: a world that can be replayed. */

export * from './meta/memory-meta.ts';
export * from './testing/fault-plan.ts';
export * from './testing/faulty-file-system.ts';
export * from './testing/virtual-clock.ts';
