import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeDirectory } from '../real/hdfs-request.ts';
import { type HdfsPair, type PairedNameNode, startHdfsPair } from '../real/hdfs-server.ts';
import { startsBefore, startsWithout } from './bad-store.ts';
import { clientOf, lakeOn, theActive } from './hdfs-lake.ts';
import { timeToAcknowledge, underStress } from './stress.ts';

const STANDBY = /STORE_UNAVAILABLE.*state standby/s;
const HINT = /Name all NameNodes of the cluster in nameNodes, and see that one of them is active/;

describe('A pair of NameNodes that fails over when it is told to, and a node', () => {
  let pair: HdfsPair;
  beforeAll(async () => {
    pair = await startHdfsPair();
  }, 120_000);
  afterAll(() => pair?.stop());

  const roles = async (): Promise<{ readonly active: PairedNameNode; readonly standby: PairedNameNode }> => {
    const active = await theActive(pair);
    const [first, second] = pair.nameNodes;
    return { active, standby: active === first ? second : first };
  };
  /** As an operator does it. */
  const failOver = async (): Promise<void> => {
    const { active, standby } = await roles();
    await active.transition('standby');
    await standby.transition('active');
  };
  const only = (nameNode: PairedNameNode, path: string) =>
    lakeOn({ nameNodes: [nameNode] }, { path, patienceMs: '600ms' });

  test('that knows only the standby starts, says so, and finds what was acknowledged when it knows both again', async () => {
    const { standby } = await roles();
    await startsWithout({ good: lakeOn(pair, { path: '/both' }), bad: only(standby, '/both') }, STANDBY, HINT);
  });

  test('that knows only the standby, and starts for the first time, goes on by itself when that one becomes active', async () => {
    const { standby } = await roles();
    await startsBefore(failOver, only(standby, '/first'), STANDBY, HINT);
  });

  test('that knows only the active one waits while it is standby, and goes on when it is active again', async () => {
    const { active } = await roles();
    await underStress(only(active, '/alone'), async ({ live, says, ready, problems }) => {
      await failOver();
      await says(STANDBY);
      expect(await ready()).toBe(false);
      expect(await problems()).toMatch(HINT);
      await failOver();
      console.log(`it is active again: acknowledged ${await timeToAcknowledge(live)} ms after`);
    });
  });

  test('that knows both believes neither that something is gone while one stood still through a failover, and the other one is down', async () => {
    const { active, standby } = await roles();
    const client = clientOf([active, standby]);
    try {
      await active.pause();
      await standby.transition('active');
      expect(await makeDirectory(standby, '/made-since', 'root')).toBe('200');
      await standby.kill();
      await active.resume();
      expect(await active.haState()).toBe('active');
      // the first attempt shows it the journal, and it ends; a connection of before may be told otherwise than a new one
      for (let i = 0; i < 3; i++)
        await expect(client.status('/made-since', {})).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);
      await active.kill();
      await pair.start();
      await vi.waitFor(
        async () => expect(await client.status('/made-since', {})).toMatchObject({ type: 'DIRECTORY' }),
        {
          timeout: 30_000,
        },
      );
      expect(await client.status('/never-made', {})).toBeUndefined();
      // one is down, and the other one active without a doubt
      await (await roles()).standby.kill();
      expect(await client.status('/never-made', {})).toBeUndefined();
      expect(await client.delete('/never-made', { recursive: false })).toBe(false);
    } finally {
      client.close();
      await pair.kill();
      await pair.start();
    }
  });

  test('that knows both goes on when the roles are swapped', async () => {
    await underStress(lakeOn(pair, { path: '/swapped' }), async ({ live }) => {
      await failOver();
      console.log(`the roles were swapped: acknowledged ${await timeToAcknowledge(live)} ms after`);
    });
  });
});
