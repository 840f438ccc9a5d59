/** Kafka record batch v2, the one format of data on the wire, in memory, on disk and in objects. */
export * from './batch/check.ts';
export { MAX_DECOMPRESSED_BYTES } from './batch/codec/codec.ts';
export * from './batch/header.ts';
export * from './batch/records.ts';
