import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, get, put } from './hdfs-request.ts';
import type { HdfsOptions, HdfsPair, HdfsPairOptions, HdfsServer } from './hdfs-server.ts';

const BLOCK = 1 << 20;
const SILENT_MS = 1000;
/** About a second where nothing else runs; a limit for one that runs beside a whole suite. */
const FAILOVER_MS = 15_000;

/** What tests may rely on of a server, however it was started. */
export function hdfsContract(name: string, start: (options: HdfsOptions) => Promise<HdfsServer>): void {
  describe(name, () => {
    let server: HdfsServer;
    beforeAll(async () => {
      server = await start({ settings: { 'dfs.blocksize': BLOCK } });
    });
    afterAll(() => server?.stop());

    test('creates by a redirect to the DataNode, and reads a range', async () => {
      const { location } = await at(server.nameNode, 'PUT', '/made?op=CREATE');
      expect(location).toContain(`${server.dataNode.httpAddress}/webhdfs/v1/made`);
      expect(await put(server.nameNode, '/made', 'hello, world')).toBe('created');
      expect(await get(server.nameNode, '/made')).toBe('hello, world');
      expect(await get(server.nameNode, '/made', '&offset=7&length=3')).toBe('wor');
      expect(await put(server.nameNode, '/made', 'again')).toBe('403 FileAlreadyExistsException');
    });

    test('keeps what it acknowledged through a kill of all and a start, on the same ports', async () => {
      let acknowledged = 0;
      const writing = (async () => {
        while (
          (await put(server.nameNode, `/kept/${acknowledged}`, `file ${acknowledged}`).catch(String)) === 'created'
        )
          acknowledged++;
      })();
      while (acknowledged < 20) await sleep(10);
      await server.kill();
      await writing;
      await expect(get(server.nameNode, '/kept/0')).rejects.toThrow();
      await server.start();
      for (let file = 0; file < acknowledged; file++)
        expect(await get(server.nameNode, `/kept/${file}`)).toBe(`file ${file}`);
      expect(await put(server.nameNode, '/kept/more', 'more')).toBe('created');
    });

    test('answers nothing while one of its daemons is paused, and goes on as before', async () => {
      await put(server.nameNode, '/paused', 'before');
      for (const daemon of [server.nameNode, server.dataNode]) {
        await daemon.pause();
        await expect(get(server.nameNode, '/paused', '', SILENT_MS)).rejects.toThrow('silent');
        await daemon.resume();
        expect(await get(server.nameNode, '/paused')).toBe('before');
      }
    });

    test('starts each daemon again by itself', async () => {
      await put(server.nameNode, '/again', 'here');
      for (const daemon of [server.dataNode, server.nameNode]) {
        await daemon.kill();
        await expect(get(server.nameNode, '/again')).rejects.toThrow();
        await daemon.start();
        // a DataNode learns with the next request that its connection has ended, and answers 403 EOFException to it
        const read = get(server.nameNode, '/again').catch(() => get(server.nameNode, '/again'));
        expect(await read).toBe('here');
      }
    });

    test('refuses a create in safe mode, and takes it afterwards', async () => {
      await server.nameNode.safeMode('enter');
      expect(await put(server.nameNode, '/safe', 'no')).toBe('403 SafeModeException');
      await server.nameNode.safeMode('leave');
      expect(await put(server.nameNode, '/safe', 'yes')).toBe('created');
    });

    test('is full when its capacity says so, and has room again', async () => {
      await server.dataNode.kill();
      await server.dataNode.start({ capacityBytes: 0 });
      expect(await put(server.nameNode, '/full/at-once', 'x')).toMatch(/^403 /);
      await server.dataNode.kill();
      await server.dataNode.start({ capacityBytes: 16 * BLOCK });
      let files = 0;
      let said = 'created';
      while (said === 'created' && files < 40) said = await put(server.nameNode, `/full/${files++}`, 'x'.repeat(BLOCK));
      expect(said).toMatch(/^403 /);
      expect(files).toBeGreaterThan(4);
      expect(files).toBeLessThanOrEqual(16);
      await server.dataNode.kill();
      await server.dataNode.start();
      expect(await put(server.nameNode, '/full/later', 'x')).toBe('created');
    });
  });
}

/** Two NameNodes. The time that a failover took is printed. */
export function hdfsPairContract(name: string, start: (options: HdfsPairOptions) => Promise<HdfsPair>): void {
  describe(`${name}, failed over by hand`, () => {
    let pair: HdfsPair;
    beforeAll(async () => {
      pair = await start({});
    });
    afterAll(() => pair?.stop());

    test('the standby says that it is one, takes over, and the other one comes back as standby', async () => {
      const [first, second] = pair.nameNodes;
      expect([await first.haState(), await second.haState()]).toEqual(['active', 'standby']);
      expect(await put(first, '/kept', 'yes')).toBe('created');
      expect((await at(second, 'GET', '/kept?op=GETFILESTATUS')).said).toBe('403 StandbyException');
      await first.kill();
      await second.transition('active');
      expect(await get(second, '/kept')).toBe('yes');
      expect(await put(second, '/later', 'yes')).toBe('created');
      await first.start();
      expect([await first.haState(), await second.haState()]).toEqual(['standby', 'active']);
      await second.transition('standby');
      await first.transition('active');
      expect(await get(first, '/later')).toBe('yes');
    });

    test('one that was paused while the other took over writes nothing any more', async () => {
      const [first, second] = pair.nameNodes;
      await first.pause();
      await second.transition('active');
      expect(await put(second, '/fenced', 'by the second')).toBe('created');
      await first.resume();
      // it does not know yet, and ends when the journal tells it
      expect(await first.haState()).toBe('active');
      const made = at(first, 'PUT', '/stale?op=MKDIRS').then(({ said }) => said, String);
      expect(await made).not.toBe('200');
      expect((await at(second, 'GET', '/stale?op=GETFILESTATUS')).said).toBe('404 FileNotFoundException');
      expect(await get(second, '/fenced')).toBe('by the second');
      await first.kill();
      await first.start();
      expect([await first.haState(), await second.haState()]).toEqual(['standby', 'active']);
    });
  });

  describe(`${name}, failing over by itself`, () => {
    let pair: HdfsPair;
    beforeAll(async () => {
      pair = await start({ automatic: true });
    });
    afterAll(() => pair?.stop());

    test('takes a create again soon after a kill of the active one, twice, and keeps what was acknowledged', async () => {
      for (const round of [1, 2]) {
        const old = await pair.active();
        const other = pair.nameNodes.find((nameNode) => nameNode !== old);
        if (old === undefined || other === undefined) throw new Error('no NameNode is active');
        expect(await put(old, `/kept/${round}`, 'yes')).toBe('created');
        const killed = performance.now();
        await old.kill();
        while ((await put(other, `/later/${round}`, 'yes').catch(String)) !== 'created') {
          expect(performance.now() - killed).toBeLessThan(FAILOVER_MS);
          await sleep(20);
        }
        console.log(`${name}: the first create ${Math.round(performance.now() - killed)} ms after the kill`);
        expect(await get(other, `/kept/${round}`)).toBe('yes');
        await old.start();
        expect(await old.haState()).toBe('standby');
      }
    });
  });
}
