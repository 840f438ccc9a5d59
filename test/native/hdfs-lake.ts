import { systemClock } from '@robustmq/core';
import { vi } from 'vitest';
import { checkSettings } from '../../engines/hdfs/src/settings.ts';
import { WebHdfs } from '../../engines/hdfs/src/webhdfs/client.ts';
import { settingsOf } from '../../engines/hdfs/test/support/settings.ts';
import type { HdfsPair, HdfsServer, PairedNameNode } from '../real/hdfs-server.ts';
import type { EngineSettings } from './stress.ts';

/** As a user would set the engine up on this server. */
export function lakeOn({ nameNodes }: Pick<HdfsServer, 'nameNodes'>, own: EngineSettings = {}): EngineSettings {
  return {
    use: 'hdfs',
    nameNodes: nameNodes.map(({ httpAddress }) => httpAddress),
    path: '/robust',
    user: 'root',
    flushIntervalMs: 50,
    ...own,
  };
}

/** Also when the other one is just taking over. */
export async function theActive(pair: HdfsPair): Promise<PairedNameNode> {
  return await vi.waitFor(
    async () => {
      const active = await pair.active();
      if (active === undefined) throw new Error('no NameNode is active');
      return active;
    },
    { timeout: 30_000, interval: 50 },
  );
}

/** Asks them as the engine does, in this order. */
export function clientOf(nameNodes: readonly Pick<PairedNameNode, 'httpAddress'>[]): WebHdfs {
  return new WebHdfs({
    nameNodes: checkSettings(settingsOf({ nameNodes: nameNodes.map(({ httpAddress }) => httpAddress) })),
    path: '/',
    ...{ user: 'root', token: undefined, authorize: undefined, tls: {} },
    ...{ nameNodeTimeoutMs: 5000, requestTimeoutMs: 5000, clock: systemClock },
  });
}
