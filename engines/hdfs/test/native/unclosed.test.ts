import { systemClock } from '@robustmq/core';
import { expect, test, vi } from 'vitest';
import { clientOf } from '../../../../test/native/hdfs-lake.ts';
import { startHdfs } from '../../../../test/real/hdfs-server.ts';
import { troubleOf } from '../../../objects/test/store/contract.ts';
import { backendOf } from '../../src/backend.ts';
import { settingsOf } from '../support/settings.ts';

/** More than sockets on the way hold: the DataNode is in the middle of it. */
const IN_FLIGHT = Buffer.alloc(32 * 1024 * 1024, 'in flight');
/** A minute until the lease of its writer has run out, and another one when the first recovery fails; HDFS alone would take 20 minutes. */
const CLOSED_WITHIN_MS = 230_000;

test('what was acknowledged can be read minutes after all of HDFS was killed in the middle of an append to the same file', async () => {
  const server = await startHdfs();
  try {
    const settings = settingsOf({ nameNodes: [server.nameNode.httpAddress], user: 'root' });
    const { store } = await backendOf(settings, systemClock);
    await store.put('c/log/1', [Buffer.from('acknowledged')], { uid: 'u' });
    const client = clientOf(server.nameNodes);
    const write = await client.append(`${settings.path}/${settings.prefix}c/log/1`, {});
    await write.write(IN_FLIGHT, {});
    await server.kill();
    write.destroy();
    client.close();
    await server.start();
    expect(await troubleOf(store.getRange('c/log/1', 0, 12))).toBe('unclosed');
    const read = async (): Promise<string> => Buffer.from(await store.getRange('c/log/1', 0, 12)).toString();
    await expect(vi.waitFor(read, { timeout: CLOSED_WITHIN_MS, interval: 2000 })).resolves.toBe('acknowledged');
    store.close();
  } finally {
    await server.stop();
  }
}, 300_000);
