import type { Check } from '../check.ts';

export const modelChecks: readonly Check[] = [];
