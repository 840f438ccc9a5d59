import { isStorageError, type RecordToWrite, type Shard, type StorageAdapter, type Topic } from '@robustmq/core';
import type { Destination, TopicMapping } from './mapping.ts';
import { shardOf } from './partitioner.ts';

export interface Route {
  readonly destination: Destination;
  readonly topic: Topic;
}

/** Finds the topic behind an MQTT name, and brings it into being when the mapping names it and it is not there yet. */
export class TopicRouter {
  readonly #storage: StorageAdapter;
  readonly #mapping: TopicMapping;
  readonly #creating = new Map<string, Promise<Topic>>();

  constructor(storage: StorageAdapter, mapping: TopicMapping) {
    this.#storage = storage;
    this.#mapping = mapping;
  }

  /** At once when the topic is there. @throws as `createTopic` and `ensureTopic`. */
  route(name: string): Route | Promise<Route> {
    const destination = this.#mapping.destination(name, (topic) => this.#storage.topic(topic)?.internal === false);
    const topic = this.#storage.topic(destination.topic);
    if (topic !== undefined) return { destination, topic };
    return this.#create(destination).then((made) => ({ destination, topic: made }));
  }

  /** By the key, as Kafka's clients do; without a key, by the name. */
  shard(route: Route, record: RecordToWrite): Shard {
    const { topic, destination } = route;
    return this.#storage.shard(topic, shardOf(record.key ?? Buffer.from(destination.key), topic.shards));
  }

  #create({ topic, shards }: Destination): Promise<Topic> {
    let creating = this.#creating.get(topic);
    if (creating === undefined) {
      creating = this.#make(topic, shards).finally(() => this.#creating.delete(topic));
      this.#creating.set(topic, creating);
    }
    return creating;
  }

  async #make(name: string, shards: number | undefined): Promise<Topic> {
    if (shards === undefined) return this.#storage.ensureTopic(name);
    try {
      return await this.#storage.createTopic(name, { overrides: { shards } });
    } catch (error) {
      if (!isStorageError(error, 'TOPIC_EXISTS')) throw error;
      return this.#storage.ensureTopic(name); // somebody was faster
    }
  }
}
