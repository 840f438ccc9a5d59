import type { Check } from '../check.ts';

export const tornTailChecks: readonly Check[] = [];
