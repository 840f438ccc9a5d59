/** What protocol brokers share: publish and subscribe over shards, MQTT's names and messages on topics and records, the shell of a connection. */
export * from './fanout/inbox.ts';
export * from './fanout/live-feed.ts';
export * from './fanout/subscription.ts';
export { TailReader } from './fanout/tail-reader.ts';
export * from './message/message.ts';
export * from './message/properties-to-headers.ts';
export * from './message/record.ts';
export * from './message/utf8.ts';
export * from './net/corked-writer.ts';
export * from './net/deadline-sweep.ts';
export * from './net/tcp-listener.ts';
export * from './publish/publisher.ts';
export * from './topics/mapping.ts';
export * from './topics/names.ts';
export * from './topics/partitioner.ts';
export * from './topics/router.ts';
export * from './topics/tenancy.ts';
export * from './topics/trie.ts';
