/** The node as a library: tests and tools start one in their own process. */

export { runCommand } from './cli/run.ts';
export { EXIT, type Io } from './cli/verb.ts';
export { type NodeWorld, type RunningNode, startNode } from './node/node.ts';
export { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES } from './node/plugins.ts';
export { VERSION } from './version.ts';
