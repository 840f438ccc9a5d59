import type { Operation, Resource } from '@robustmq/core';
import type { RequestContext } from './api.ts';

/** The bits of Kafka's operations that have a meaning here. */
const BITS: readonly (readonly [number, Operation])[] = [
  [3, 'read'],
  [4, 'write'],
  [5, 'create'],
  [6, 'delete'],
  [7, 'alter'],
  [8, 'describe'],
  [10, 'describe'],
  [11, 'alter'],
];

/** What the client may do, as KIP-430 tells it. */
export function authorizedOperations({ services, principal }: RequestContext, resource: Resource): number {
  return BITS.reduce(
    (bits, [bit, operation]) =>
      services.authorizer.authorize(principal, operation, resource) ? bits | (1 << bit) : bits,
    0,
  );
}
