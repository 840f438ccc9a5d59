import type { Authorizer } from '@robustmq/core';

/** Until there are users: everybody may do everything. The wide-bind warning says so. */
export const allowAll: Authorizer = { authorize: () => true };
