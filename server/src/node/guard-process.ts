import type { Logger } from '@robustmq/core';
import type { RunningNode } from './node.ts';

export interface ProcessGuard {
  /** The node to mark as failed. */
  watch(node: RunningNode): void;
  /** Resolves when something nobody caught has happened. */
  readonly failed: Promise<void>;
  hasFailed(): boolean;
}

/**
 * An error that nobody caught leaves a state that nobody knows. It is logged, `/readyz` fails, and the node stops with a code that is
 * not 0: what was acknowledged is on the disk, and a supervisor starts it again.
 */
export function guardProcess(logger: Logger): ProcessGuard {
  let node: RunningNode | undefined;
  let failed = false;
  let resolve: () => void = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  const fail = (what: string) => (error: unknown) => {
    // the first one says it; a second while stopping must not start a storm
    if (failed) return;
    logger.error({ err: error instanceof Error ? error : new Error(String(error)) }, what);
    failed = true;
    node?.fail(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    // before there is a node, there is nothing to stop in order
    if (node === undefined) process.exit(70);
    resolve();
  };
  process.on('unhandledRejection', fail('a promise was rejected and nobody looked'));
  process.on('uncaughtException', fail('an exception was not caught'));
  return {
    watch: (running) => {
      node = running;
    },
    failed: promise,
    hasFailed: () => failed,
  };
}
