import { buffer } from 'node:stream/consumers';
import { VirtualClock } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { backendOf } from '../src/backend.ts';
import { type Answer, byOp, json, littleServer, redirectTo, refusal } from './support/little-server.ts';
import { settingsOf } from './support/settings.ts';

const UNCLOSED = refusal(403, 'CannotObtainBlockLengthException', 'Cannot obtain block length for LocatedBlock{}');
const HELD = refusal(403, 'AlreadyBeingCreatedException', 'this file lease is currently owned by DFSClient_1');

test('why a file can not be asked to be closed is told with the error of the read', async () => {
  const dataNode = await littleServer(
    byOp({ APPEND: refusal(403, 'AccessControlException', 'Permission denied: user=reader') }, UNCLOSED),
  );
  const nameNode = await littleServer(redirectTo(() => dataNode.address));
  const { store } = await backendOf(settingsOf({ nameNodes: [nameNode.address] }), new VirtualClock());
  try {
    await expect(store.getRange('c/log/1', 0, 4)).rejects.toMatchObject({
      trouble: 'unclosed',
      message: expect.stringMatching(/Cannot obtain block length.*asked to close it: .*Permission denied: user=reader/),
    });
  } finally {
    store.close();
    await nameNode.close();
    await dataNode.close();
  }
});

test('a file that HDFS has not closed is asked to be closed by an append of nothing, with each read, and once for all at the same time', async () => {
  const appended: number[] = [];
  const status = { pathSuffix: '', type: 'FILE', length: 4, modificationTime: 7 };
  let isOpen = true;
  const append: Answer = async (request, response) => {
    appended.push((await buffer(request)).length);
    if (appended.length < 3) HELD(request, response);
    else response.writeHead(200).end();
    isOpen = appended.length < 3;
  };
  const dataNode = await littleServer(
    byOp(
      { OPEN: (request, response) => (isOpen ? UNCLOSED(request, response) : response.end('one,')), APPEND: append },
      json(500, {}),
    ),
  );
  const nameNode = await littleServer(
    byOp(
      { GETFILESTATUS: json(200, { FileStatus: status }) },
      redirectTo(() => dataNode.address),
    ),
  );
  const { store } = await backendOf(settingsOf({ nameNodes: [nameNode.address] }), new VirtualClock());
  try {
    // what went wrong is told by the read, whatever becomes of the append
    await expect(store.getRange('c/log/1', 0, 4)).rejects.toMatchObject({ trouble: 'unclosed', mayBeApplied: false });
    expect(appended).toEqual([0]);
    await expect(store.getTail('c/log/1', 4)).rejects.toMatchObject({ trouble: 'unclosed' });
    expect(appended).toEqual([0, 0]);
    const reads = await Promise.allSettled([1, 2, 3].map((at) => store.getRange('c/log/1', at, 1)));
    expect(reads.map(({ status: how }) => how)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(appended).toEqual([0, 0, 0]);
    expect(Buffer.from(await store.getRange('c/log/1', 0, 4)).toString()).toBe('one,');
    expect(appended).toEqual([0, 0, 0]);
  } finally {
    store.close();
    await nameNode.close();
    await dataNode.close();
  }
});
