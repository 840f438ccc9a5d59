import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { lakeOn } from './hdfs-lake.ts';
import { timeToAcknowledge, underStress } from './stress.ts';

/** A DataNode may have been in the middle of asking the NameNode, and say it first. */
const GONE = /STORE_UNAVAILABLE.*(Check nameNodes|Look into the NameNode)/s;

describe('An HDFS in trouble, and a node that writes to it and archives to it:', () => {
  let server: HdfsServer;
  beforeAll(async () => {
    server = await startHdfs();
  });
  afterAll(() => server?.stop());

  const daemons = {
    'the DataNode': () => server.dataNode,
    'the NameNode': () => server.nameNode,
    both: () => server,
  };

  test.each(['the DataNode', 'the NameNode', 'both'] as const)('%s is killed, and started again', async (what) => {
    await underStress(lakeOn(server, { path: '/kill' }), async ({ live, says, ready }) => {
      const target = daemons[what]();
      await target.kill();
      await says(what === 'the DataNode' ? /STORE_UNAVAILABLE/ : GONE);
      expect(await ready()).toBe(false);
      await target.start();
      console.log(`${what} was killed: acknowledged again ${await timeToAcknowledge(live)} ms after it was ready`);
    });
  });

  test('safe mode is entered, and left', async () => {
    await underStress(lakeOn(server, { path: '/safe' }), async ({ live, says, ready }) => {
      await server.nameNode.safeMode('enter');
      await says(/STORE_UNAVAILABLE.*safe mode.*dfsadmin -safemode leave/s);
      expect(await ready()).toBe(false);
      await server.nameNode.safeMode('leave');
      console.log(`safe mode was left: acknowledged again after ${await timeToAcknowledge(live)} ms`);
    });
  });

  test('the DataNode is full, and has room again', async () => {
    await underStress(lakeOn(server, { path: '/full' }), async ({ live, says, ready }) => {
      await server.dataNode.kill();
      await server.dataNode.start({ capacityBytes: 0 });
      await says(/DISK_FULL.*Free space on the DataNodes/s);
      expect(await ready()).toBe(false);
      await server.dataNode.kill();
      await server.dataNode.start();
      console.log(`there is room again: acknowledged after ${await timeToAcknowledge(live)} ms`);
    });
  });
});
