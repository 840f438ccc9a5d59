/** Everything of core. Engine authors read `engine.ts`, broker authors `adapter.ts` and `broker.ts`. */
export * from './adapter.ts';
export * from './batch.ts';
export * from './broker.ts';
export * from './engine/guard.ts';
export * from './engine/instance.ts';
export * from './engine/scoped-meta.ts';
export * from './engine.ts';
export * from './errors.ts';
export * from './memory.ts';
export * from './meta/port.ts';
export * from './meta/row.ts';
export * from './meta/watch-hub.ts';
export * from './plugin/schema.ts';
export * from './storage-options.ts';
export * from './system.ts';
export * from './topics/policy.ts';
export * from './world.ts';
