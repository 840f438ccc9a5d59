import { VirtualClock } from '@robustmq/core/testing';
import type { FileStore } from '@robustmq/engine-objects';
import { expect, test } from 'vitest';
import { backendOf } from '../src/backend.ts';
import { byOp, json, littleServer, redirectTo, refusal, text } from './support/little-server.ts';
import { settingsOf } from './support/settings.ts';

test('what a write that failed has left is deleted when it is tidied up, as soon as the store does that', async () => {
  const dataNode = await littleServer((request) => void request.socket.destroy());
  const deletes = refusal(403, 'SafeModeException', 'Name node is in safe mode.');
  const answers = { CREATE: redirectTo(() => dataNode.address), DELETE: deletes };
  const server = await littleServer(byOp(answers, json(200, { boolean: true })));
  const { store } = await backendOf(settingsOf({ nameNodes: [server.address] }), new VirtualClock());
  const files = store as FileStore; // it is one of files
  files.workIn('c/tmp/1/');
  const deleted = (): string[] => server.asked.filter((asked) => asked.startsWith('DELETE'));
  try {
    await expect(files.put('c/seg/1', [Buffer.from('a')], { uid: 'u' })).rejects.toThrow();
    await expect(files.append('c/log/1', 0, [Buffer.from('a')])).rejects.toThrow();
    expect(files.left).toBe(2);
    await expect(files.tidyUp()).rejects.toMatchObject({ trouble: 'read-only' });
    expect([files.left, deleted()]).toEqual([2, ['DELETE DELETE /robust/c/tmp/1/u-0']]);
    server.answer = byOp({ DELETE: text(200, '{"boolean":true}') }, json(200, {}));
    await files.tidyUp();
    expect([files.left, deleted().slice(1)]).toEqual([
      0,
      ['DELETE DELETE /robust/c/tmp/1/u-0', 'DELETE DELETE /robust/c/tmp/1/file-1'],
    ]);
  } finally {
    files.close();
    await Promise.all([server.close(), dataNode.close()]);
  }
});
