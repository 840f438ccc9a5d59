import type { Check } from '../check.ts';

export const crashPointChecks: readonly Check[] = [];
