import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { inFolder, urlOf } from '../../server/test/node-fixture.ts';
import { type SecureHdfs, startSecureHdfs } from '../real/secure-hdfs.ts';
import { startsWithout } from './bad-store.ts';
import { lakeOn } from './hdfs-lake.ts';
import { Producer } from './producer.ts';
import { configFor, type EngineSettings, Log, shardOf, startIn } from './stress.ts';

const SPNEGO = join(import.meta.dirname, '../../engines/hdfs/examples/spnego.mjs');

let hdfs: SecureHdfs;
beforeAll(async () => {
  hdfs = await startSecureHdfs();
  // as an operator does
  hdfs.become('nn');
  await hdfs.ask('PUT', '/robust?op=MKDIRS');
  await hdfs.ask('PUT', '/robust?op=SETOWNER&owner=robust');
  hdfs.become('robust');
}, 200_000);
afterAll(() => hdfs?.stop());

const lake = (own: EngineSettings): EngineSettings =>
  lakeOn(hdfs.server, { user: undefined, caFile: hdfs.caFile, patienceMs: '600ms', ...own });

/** Each a life of one node: what one has acknowledged, all after it have. */
async function lives(...runs: readonly (readonly [EngineSettings, (life: Life) => Promise<void>])[]): Promise<void> {
  await inFolder(async (cwd) => {
    const before: Producer[] = [];
    for (const [settings, run] of runs) {
      await writeFile(join(cwd, 'robust.yaml'), configFor(settings));
      const log = new Log();
      const node = await startIn(cwd, log);
      try {
        // a shard each: a producer knows what belongs there
        const names = ['live', 'old'] as const;
        for (const [i, producer] of before.entries()) await producer.check(await shardOf(node, names[i] ?? 'live'));
        const producer = new Producer(await shardOf(node, names[before.length] ?? 'live'), `life-${before.length}`);
        const says = async (what: RegExp): Promise<void> => {
          await vi.waitFor(async () => expect(await (await fetch(`${urlOf(node)}/readyz`)).text()).toMatch(what), {
            timeout: 30_000,
          });
          await vi.waitFor(() => expect(log.text).toMatch(what), { timeout: 20_000 });
        };
        await vi.waitFor(() => expect(producer.acknowledged.size).toBeGreaterThan(20), { timeout: 60_000 });
        await run({ producer, says });
        await producer.finish();
        before.push(producer);
      } finally {
        await node.stop();
      }
    }
  });
}

interface Life {
  readonly producer: Producer;
  says(what: RegExp): Promise<void>;
}

test('TLS: a certificate of an authority that is not known is told, and what was written over TLS is there again when it is known', async () => {
  const delegationToken = await hdfs.token();
  await startsWithout(
    { good: lake({ delegationToken }), bad: lake({ delegationToken, caFile: undefined }) },
    /STORE_DENIED.*certificate/s,
    /caFile/,
  );
});

test('delegation token: one that is cancelled under a running node is told, and nothing acknowledged is lost with the next one', async () => {
  const [first, second] = [await hdfs.token(), await hdfs.token()];
  await lives(
    [
      lake({ delegationToken: first, path: '/robust/token' }),
      async ({ says }) => {
        await hdfs.cancel(first);
        await says(/STORE_DENIED.*can't be found in cache.*delegationToken/s);
      },
    ],
    [lake({ delegationToken: second, path: '/robust/token' }), async () => {}],
  );
});

test('SPNEGO: the module in the examples writes and reads with a ticket for each request, as the user of its keytab', async () => {
  await lives(
    [lake({ authorize: SPNEGO, path: '/robust/spnego' }), async () => {}],
    [lake({ authorize: SPNEGO, path: '/robust/spnego' }), async () => {}],
  );
  expect(await hdfs.ask('GET', '/robust/spnego?op=GETFILESTATUS')).toMatchObject({ FileStatus: { owner: 'robust' } });
});
