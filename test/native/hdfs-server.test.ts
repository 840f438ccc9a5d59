import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { put } from '../real/hdfs-request.ts';
import { startHdfs } from '../real/hdfs-server.ts';

describe('HDFS as processes, in a directory of their own', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'robust-hdfs-test-'));
    vi.stubEnv('TMPDIR', dir);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(dir, { recursive: true, force: true });
  });

  test('a start that fails says what the daemon said, and leaves nothing', async () => {
    const failing = startHdfs({ settings: { 'dfs.namenode.name.dir': 'file:///dev/null/nowhere' } });
    await expect(failing).rejects.toThrow(/^nn1 of HDFS has ended\. It said:\n.*\/dev\/null\/nowhere/s);
    expect(await readdir(dir)).toEqual([]);
    expect(await running(dir)).toEqual([]);
  });

  test("with Hadoop's own settings permissions count", async () => {
    const strange = { 'hadoop.http.staticuser.user': 'nobody' };
    const own = { 'hadoop.http.staticuser.user': userInfo().username };
    for (const settings of [strange, own]) {
      const server = await startHdfs({ hadoopDefaults: true, settings });
      try {
        const said = await put(server.nameNode, '/file', 'x');
        expect(said).toBe(settings === strange ? '403 AccessControlException' : 'created');
      } finally {
        await server.stop();
      }
    }
  });

  test.each(['exit', 'SIGKILL'] as const)('daemons end with the process that started them: %s', async (how) => {
    const code = `
      const { startHdfs } = await import('${join(import.meta.dirname, '../real/hdfs-server.ts')}');
      await startHdfs();
      console.log('ready');
      process.stdin.on('data', () => process.exit());`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    expect(await running(dir)).toHaveLength(2);
    const ended = once(parent, 'exit');
    if (how === 'exit') parent.stdin.write('end\n');
    else parent.kill(how);
    await ended;
    while ((await running(dir)).length > 0) await sleep(20);
    if (how === 'exit') expect(await readdir(dir)).toEqual([]);
  });
});

/** The processes whose command line names the directory. */
async function running(dir: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(dir));
}
