import { Kafka, type KafkaMessage, logLevel } from 'kafkajs';

/**
 * kafkajs reads in groups only; its own broker class underneath reads a partition just as well. This is what its consumer does
 * once it has an assignment: the same fetch, the same decoder.
 */
export async function kafkajsFetch(
  address: string,
  topic: string,
  partition: number,
  fetchOffset: number,
  waits: { readonly maxWaitTime?: number; readonly minBytes?: number } = {},
): Promise<KafkaMessage[]> {
  const kafka = new Kafka({
    clientId: 'kafkajs-fetch',
    brokers: [address],
    logLevel: logLevel.NOTHING,
    requestTimeout: 5000,
  });
  const cluster = clusterOf(kafka);
  await cluster.connect();
  try {
    await cluster.addTargetTopic(topic);
    const broker = await cluster.findBroker({ nodeId: '1' });
    const { responses } = await broker.fetch({
      maxWaitTime: waits.maxWaitTime ?? 100,
      minBytes: waits.minBytes ?? 1,
      isolationLevel: 1,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(fetchOffset), maxBytes: 1_048_576 }] }],
    });
    const messages = responses[0]?.partitions[0]?.messages ?? [];
    return messages.filter((message) => Number(message.offset) >= fetchOffset);
  } finally {
    await cluster.disconnect();
  }
}

interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findBroker(by: { nodeId: string }): Promise<Fetcher>;
}

interface Fetcher {
  fetch(request: object): Promise<{ responses: { partitions: { messages: KafkaMessage[] }[] }[] }>;
}

/** The cluster object that kafkajs makes for each of its clients, behind a symbol of its own. */
function clusterOf(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find((one) => one.description === 'private:Kafka:createCluster');
  if (symbol === undefined) throw new Error('kafkajs makes its clusters in another way now');
  const create = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[symbol];
  if (create === undefined) throw new Error('kafkajs makes its clusters in another way now');
  return create({ metadataMaxAge: 300_000, allowAutoTopicCreation: false, maxInFlightRequests: null });
}
