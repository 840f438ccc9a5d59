export type { ObjectStore } from './store/port.ts';
