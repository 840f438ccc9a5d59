import type { Check } from '../check.ts';

export const crowdChecks: readonly Check[] = [];
