import { type Principal, RobustError } from '@robustmq/core';

/**
 * The name of a topic as the storage layer knows it, for a name that a client of this principal used. There is one tenant so far; every
 * handler asks here all the same, so that a second one changes this file and no other.
 */
export function topicInTenant(principal: Principal, name: string): string {
  if (principal.tenant !== DEFAULT_TENANT)
    throw new RobustError('TENANT_UNKNOWN', `there is no tenant ${principal.tenant}`, {
      hint: `Use the tenant ${DEFAULT_TENANT}`,
    });
  return name;
}

export const DEFAULT_TENANT = 'default';

export const ANONYMOUS: Principal = { name: 'anonymous', tenant: DEFAULT_TENANT };
