import type { Check } from '../check.ts';

export const processChecks: readonly Check[] = [];
