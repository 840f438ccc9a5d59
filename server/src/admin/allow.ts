import { type Authorizer, type Operation, type Principal, type Resource, RobustError } from '@robustmq/core';

/** Whoever reaches the admin port, until there are users. */
const ADMIN: Principal = { name: 'admin', tenant: 'default' };

/** Asked by every handler before it acts. @throws NOT_AUTHORIZED */
export function allow(authorizer: Authorizer, operation: Operation, topic?: string): void {
  const resource: Resource = topic === undefined ? { type: 'cluster' } : { type: 'topic', name: topic };
  if (authorizer.authorize(ADMIN, operation, resource)) return;
  throw new RobustError('NOT_AUTHORIZED', `${ADMIN.name} may not ${operation} ${topic ?? 'the cluster'}`, {
    hint: 'Ask somebody who may to grant it',
  });
}
