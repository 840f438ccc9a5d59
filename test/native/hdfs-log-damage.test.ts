import { join } from 'node:path';
import type { Shard, StorageError } from '@robustmq/core';
import { decodeRecords, forEachBatch } from '@robustmq/core/batch';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inFolder } from '../../server/test/node-fixture.ts';
import { ServerProcess } from '../crash/server-process.ts';
import { at, bytesOf, namesBelow, put } from '../real/hdfs-request.ts';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { batch, configure, type Damage, readyz, valuesOf, whileRunning } from './bad-store.ts';
import { lakeOn } from './hdfs-lake.ts';
import { Log, shardOf } from './stress.ts';

const USER = 'root';
/** Each is acknowledged before the next one is sent: an append of its own to the file of the log. */
const RECORDS = 30;
const TOPICS = ['lake', 'elsewhere'];
const recordOf = (i: number): string => `${i}-`.padEnd(1000, 'x');

let server: HdfsServer;
beforeAll(async () => {
  server = await startHdfs();
});
afterAll(() => server?.stop());

/** The files of the log below a path, of all lives. */
async function logFiles(path: string): Promise<string[]> {
  return (await namesBelow(server.nameNode, path))
    .filter((name) => /~log~/.test(name))
    .map((name) => `${path}/${name}`);
}

async function damageFile(path: string, damage: Damage): Promise<void> {
  if (damage === 'deleted') {
    const { body } = await at(server.nameNode, 'DELETE', `${path}?op=DELETE&user.name=${USER}`);
    expect(body.toString()).toContain('true');
    return;
  }
  const before = await bytesOf(server.nameNode, path, `&user.name=${USER}`);
  // in a record: what stands between two appends is for people
  const middle = before.indexOf(recordOf(RECORDS / 2)) + 10;
  const after = damage === 'cut short' ? before.subarray(0, middle) : before.with(middle, 4 ^ (before[middle] ?? 0));
  expect(await put(server.nameNode, path, after, { overwrite: true, user: USER })).toBe('created');
}

/** A node as a user starts it, killed when each topic has records that were acknowledged, and lie in the log alone. */
async function writeAndDie(cwd: string): Promise<void> {
  const node = new ServerProcess({ data: join(cwd, 'data'), config: join(cwd, 'robust.yaml'), cwd });
  try {
    await node.ready();
    const brokers = [`127.0.0.1:${node.ports.kafka}`];
    const producer = new Kafka({ brokers, logLevel: logLevel.NOTHING }).producer();
    await producer.connect();
    for (let i = 0; i < RECORDS; i++)
      for (const topic of TOPICS)
        await producer.send({ topic, acks: -1, messages: [{ partition: 0, value: recordOf(i) }] });
    await producer.disconnect();
  } finally {
    await node.kill();
  }
}

/** What can be read from the beginning on, and how that ends. */
async function readAsFarAsItGoes(shard: Shard): Promise<{ readonly values: string[]; readonly error: unknown }> {
  const values: string[] = [];
  try {
    for (let from = 0; ; ) {
      const { chunks, next } = await shard.read(from, { maxBytes: 1000 });
      if (next === from) return { values, error: undefined };
      for (const chunk of chunks)
        forEachBatch(chunk, (header, position) => {
          for (const { offset, value } of decodeRecords(chunk.subarray(position, position + header.bytes)))
            values[offset] = Buffer.from(value ?? '').toString();
        });
      from = next;
    }
  } catch (error) {
    return { values, error };
  }
}

describe('A file of the log with what was acknowledged, and lies nowhere else, that somebody has', () => {
  test.each([
    ['deleted', 'SEGMENT_LOST'],
    ['cut short', 'CORRUPT'],
    ['changed in one bit', 'CORRUPT'],
  ] as const satisfies [Damage, string][])(
    '%s while the node was dead is told as %s, and other topics go on',
    async (damage, code) => {
      await inFolder(async (cwd) => {
        const path = `/log-${damage.replaceAll(' ', '-')}`;
        await configure(cwd, lakeOn(server, { path, patienceMs: '1s' }));
        await writeAndDie(cwd);
        const files = await logFiles(path);
        expect(files).toHaveLength(1);
        await damageFile(files[0] ?? '', damage);
        const log = new Log();
        await whileRunning(
          cwd,
          async (node) => {
            const lake = await shardOf(node, 'lake');
            const { values, error } = await readAsFarAsItGoes(lake);
            expect(error).toMatchObject({ code, where: expect.any(String), hint: expect.any(String) });
            expect(values.length).toBeLessThan(RECORDS);
            expect(values).toEqual(values.map((_, i) => recordOf(i)));
            for (const told of [await readyz(node), log.text]) {
              expect(told).toMatch(code);
              expect(told).toContain((error as StorageError).hint); // it has one, as was just found
            }
            await expect(lake.append([batch('more')])).rejects.toMatchObject({ code });
            // what lies elsewhere, and what has nothing in that file
            const elsewhere = await shardOf(node, 'elsewhere');
            expect(await valuesOf(elsewhere)).toEqual(Array.from({ length: RECORDS }, (_, i) => recordOf(i)));
            expect(await elsewhere.append([batch('more')])).toMatchObject({ base: RECORDS });
            await node.storage.createTopic('lake2', { overrides: { engine: 'lake' } });
            expect(await (await shardOf(node, 'lake2')).append([batch('b')])).toMatchObject({ base: 0 });
            // by an operator's word it goes on, behind all that was acknowledged
            const [lost] = await node.storage.acceptLosses('lake');
            expect(lost).toMatchObject({ shard: 0, end: expect.any(Number) });
            const { base } = await lake.append([batch('after')]);
            expect(base).toBeGreaterThanOrEqual(RECORDS);
            expect((await lake.read(base, { maxBytes: 1000 })).next).toBe(base + 1);
          },
          log,
        );
      });
    },
  );
});
