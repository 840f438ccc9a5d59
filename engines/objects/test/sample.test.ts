import { expect, test } from 'vitest';
import { decodeHeader } from '../src/image/format.ts';
import { encodeImage } from '../src/image/image-writer.ts';
import { batch } from './batches.ts';
import { ImageWorld, readAll } from './image-world.ts';

/** An image as release 0.1 wrote it. It stays as it is: data of every release is read by all that come after it. */
const VERSION_1 = [
  'Uk1RTwEAAADwDf7t8A3+7fAN/u3wDf7tAAAAAAIAAAD///9/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAyq+5oQAAAAIAAAAAAAAARQAAAAECpA',
  'chTQAAAAAAAf/////////7//////////v//////////////////wAAAAJwYXlsb2FkIG9mIDg1ODk5MzQ1OQAAAAIAAAAFAAAAOwAAAAECLulg',
  'ygAAAAAAAAAAAYvP5WgAAAABi8/laAD//////////////////wAAAAFwYXlsb2FkIG9mAAAAAgAAAAYAAAAxAAAAAQKnSnc3AAAAAAAAAAAAAA',
  'AAAAcAAAAAAAAAB///////////////////AAAAAWEgZm9sZCBvZiB0aGVuAAAAAAIAAAAGAAAAAgAAAEAAAAAAAAAAmAAAAAAAAAD7////////',
  '/wBo5c+LAQAA1yslpwIAAAAGAAAAAgAAAAcAAAACAAAA2AAAAAAAAAA9AAAAAAAAAAcAAAAAAAAABwAAAAAAAAAfMNp3AQAAAAAAAAACAAAACQ',
  'AAAAIAAAD///9/AgAAAPAN/u3wDf7t8A3+7fAN/u3VAAAAAAAAABMCAAAAAAAAFQEAAAAAAAAOAAAAekHDESMBAAAAAAAAcAAAAAAAAACXFGL2',
  'wv5fAPv/////////AGjlz4sBAAA6HhmagAAAAAEAAABSTVFF',
];

const BASE = 2 ** 33;
const UID = 'f00dfeedf00dfeedf00dfeedf00dfeed';
const BATCHES = [
  batch({ base: BASE, count: 2, payloadBytes: 20, timestamp: -5 }),
  batch({ base: BASE + 5, payloadBytes: 10, timestamp: 1_700_000_000_000 }),
  batch({ base: BASE + 6, payloadBytes: 0, timestamp: 7 }),
];

test('an image of version 1 is read', async () => {
  const bytes = Buffer.from(VERSION_1.join(''), 'base64');
  const world = new ImageWorld();
  world.store.objects.set('k', bytes);
  const reader = await world.open({ key: 'k', at: 0, bytes: bytes.length, objectBytes: bytes.length });
  expect(decodeHeader(bytes)).toEqual({ uid: UID, base: BASE, epoch: 0x7fffffff });
  expect(reader.footer).toMatchObject({
    ...{ uid: UID, base: BASE, end: BASE + 9, epoch: 0x7fffffff, blocks: 2 },
    ...{ batchBytes: 213, minTs: -5, maxTs: 1_700_000_000_000 },
  });
  expect(Buffer.from(await reader.state()).toString()).toBe('a fold of then');
  expect(await readAll(reader, BASE, 1)).toEqual(Buffer.concat(BATCHES));
  expect(await reader.offsetForTimestamp(8)).toBe(BASE + 5);
  expect((await reader.read(BASE + 7, { maxBytes: 1 })).next).toBe(BASE + 9);
});

test('an image is written as version 1', () => {
  const state = Buffer.from('a fold of then');
  const options = { uid: UID, base: BASE, end: BASE + 9, epoch: 0x7fffffff, state, blockBytes: 170 };
  expect(Buffer.concat(encodeImage(options, BATCHES).chunks).toString('base64')).toBe(VERSION_1.join(''));
});
