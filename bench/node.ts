import { silentLogger } from '@robustmq/core';
import { loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';

/** A node in this process, without protocols: what core and the engines do, as the server assembles them. */
export async function storageNode(data: string, sets: readonly string[] = []): Promise<RunningNode> {
  const config = await loadConfig({
    data,
    env: {},
    cwd: data,
    sets: ['brokers.mqtt.enabled=false', 'brokers.kafka.enabled=false', 'admin.port=0', ...sets],
    engines: FIRST_PARTY_ENGINES,
    brokers: FIRST_PARTY_BROKERS,
  });
  return startNode(config, { logger: silentLogger });
}
