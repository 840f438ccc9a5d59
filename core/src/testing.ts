/** For tests of core, of engines and of brokers: a world that can be replayed. */
export * from './testing/virtual-clock.ts';
export * from './meta/memory-meta.ts';
