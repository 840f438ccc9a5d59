import type { Check } from '../check.ts';

export const ioFaultChecks: readonly Check[] = [];
