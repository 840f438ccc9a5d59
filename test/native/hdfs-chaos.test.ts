import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
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
    await underStress(lakeOn(server, { path: '/full' }), async ({ live, says, problems }) => {
      await server.dataNode.kill();
      await server.dataNode.start({ capacityBytes: 0 });
      // A NameNode that finds no DataNode with room to lead a CREATE to says so as it does of one that is away.
      await says(/DISK_FULL.*Free space on the DataNodes|STORE_UNAVAILABLE.*whether DataNodes run and have room/s);
      console.log(`the DataNode is full: ${(await problems()).slice(0, 400)}`);
      await server.dataNode.kill();
      await server.dataNode.start();
      console.log(`there is room again: acknowledged after ${await timeToAcknowledge(live)} ms`);
    });
  });
});

const run = promisify(execFile);
const DISK_BYTES = 64 * 1024 * 1024;
/** As much as the disk has is given, in small blocks. */
const SMALL_DISK = {
  'dfs.blocksize': 1024 * 1024,
  'dfs.datanode.round-robin-volume-choosing-policy.additional-available-space': 0,
};

test.skipIf(process.getuid?.() !== 0)(
  'An HDFS whose disk is full until somebody makes room (needs root, to mount a small file system)',
  async () => {
    const mount = await mkdtemp(join(tmpdir(), 'robust-full-hdfs-'));
    await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', mount]);
    try {
      const settings = { ...SMALL_DISK, 'dfs.datanode.data.dir': `file://${mount}/dn` };
      const server = await startHdfs({ settings });
      try {
        await underStress(lakeOn(server, { path: '/disk' }), async ({ live, says, problems }) => {
          const ballast = join(mount, 'ballast');
          await writeFile(ballast, Buffer.alloc(DISK_BYTES)).catch(() => {}); // as much as there is room for
          // now and then a small block finds a place, and for a moment all is well
          await says(/DISK_FULL|STORE_UNAVAILABLE/);
          console.log(`the disk is full: ${(await problems()).slice(0, 400)}`);
          await rm(ballast);
          const itself = await Promise.race([timeToAcknowledge(live), sleep(15_000)]);
          if (typeof itself === 'number') {
            console.log(`there is room on the disk again: acknowledged after ${itself} ms`);
            return;
          }
          // it gives up a disk to which it could not write, and ends with its last one
          await server.dataNode.kill();
          await server.dataNode.start();
          console.log(`the DataNode was started again: acknowledged after ${await timeToAcknowledge(live)} ms`);
        });
      } finally {
        await server.stop();
      }
    } finally {
      await run('umount', ['-l', mount]);
      await rm(mount, { recursive: true });
    }
  },
  240_000,
);
