/** Kafka record batch v2, the one format of data on the wire, in memory, on disk and in objects. */
export * from './batch/check.ts';
export * from './batch/header.ts';
