import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeDirectory } from '../real/hdfs-request.ts';
import { type HdfsPair, type PairedNameNode, startHdfsPair } from '../real/hdfs-server.ts';
import { clientOf, lakeOn, theActive } from './hdfs-lake.ts';
import { timeToAcknowledge, underStress } from './stress.ts';

describe('A pair of NameNodes that fails over by itself, and a node that writes to it and archives to it:', () => {
  let pair: HdfsPair;
  beforeAll(async () => {
    pair = await startHdfsPair({ automatic: true });
  }, 120_000);
  afterAll(() => pair?.stop());

  test('the active one is killed', async () => {
    const active = await theActive(pair);
    try {
      await underStress(lakeOn(pair, { path: '/killed' }), async ({ live }) => {
        await active.kill();
        console.log(`an append was acknowledged ${await timeToAcknowledge(live)} ms after the kill`);
      });
    } finally {
      await active.kill(); // if it has not come so far
      await active.start();
    }
  });

  test('the active one stands still, and comes back when the other one has taken over', async () => {
    const active = await theActive(pair);
    await underStress(lakeOn(pair, { path: '/paused' }), async ({ live, logs }) => {
      await active.pause();
      const other = pair.nameNodes.find((nameNode) => nameNode !== active);
      const paused = performance.now();
      const taken = vi
        .waitFor(async () => expect(await other?.haState()).toBe('active'), { timeout: 60_000, interval: 50 })
        .then(() => Math.round(performance.now() - paused));
      const [afterMs] = await Promise.all([timeToAcknowledge(live), logs(/STORE_UNAVAILABLE.*nameNodeTimeoutMs/s)]);
      console.log(`an append was acknowledged ${afterMs} ms after the active one stood still`);
      console.log(`the other one was active ${await taken} ms after`);
      if (other === undefined) throw new Error('there is no other one');
      expect(await makeDirectory(other, '/made-since', 'root')).toBe('200');
      await active.resume();
      await believesTheRightOne([active, other], '/made-since');
    });
    // when the journal has told it that it is not active any more it ends
    await active.kill();
    await active.start();
  });
});

/** The first one may still take itself for active, and has not heard of the directory. */
async function believesTheRightOne(nameNodes: readonly PairedNameNode[], path: string): Promise<void> {
  const client = clientOf(nameNodes);
  try {
    for (let i = 0; i < 50; i++) expect(await client.status(path, {})).toMatchObject({ type: 'DIRECTORY' });
  } finally {
    client.close();
  }
}
