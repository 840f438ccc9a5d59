/** For tests of core, of engines and of brokers: a world that can be replayed. */

export * from './meta/memory-meta.ts';
export { type FaultCode, type FaultOperation, type FaultStep, READS } from './testing/fault-operations.ts';
export * from './testing/fault-plan.ts';
export type { StepFault, StepKind } from './testing/fault-steps.ts';
export * from './testing/faulty-file-system.ts';
export * from './testing/recorded-disk.ts';
export * from './testing/recorded-file-system.ts';
export * from './testing/recorded-log.ts';
export * from './testing/recorded-pages.ts';
export * from './testing/virtual-clock.ts';
