import { SeededRandom } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { readInstance, writeInstance } from '../src/instance-file.ts';
import { coded, MemoryDisk } from './memory-disk.ts';

const UUID = '01234567-89ab-4cde-8f01-23456789abcd';

describe('the file that names a directory', () => {
  test('is read as it was written, and is durable before it counts', async () => {
    const disk = new MemoryDisk();
    const written = await writeInstance(disk.fs, '/r', new SeededRandom(1));
    expect(written).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(disk.files.get('/r/INSTANCE')?.toString()).toBe(`RMQL 1\n${written}\n`);
    expect(disk.calls).toEqual([
      'create /r/INSTANCE.tmp',
      'write /r/INSTANCE.tmp',
      'sync /r/INSTANCE.tmp',
      'rename /r/INSTANCE',
      'syncDirectory /r',
    ]);
    expect(await readInstance(disk.fs, '/r')).toBe(written);
    expect(disk.openHandles).toBe(0);
  });

  test.each(['write', 'sync', 'rename', 'syncDirectory'])(
    'names nothing when it could not be written: %s',
    async (step) => {
      const disk = new MemoryDisk();
      disk.fault = (call) => (call.startsWith(step) ? coded('EIO') : undefined);
      await expect(writeInstance(disk.fs, '/r', new SeededRandom(1))).rejects.toMatchObject({ code: 'EIO' });
      // a file that is there in part would be taken for damage at the next start, and nothing could be opened
      expect(disk.files.has('/r/INSTANCE')).toBe(step === 'syncDirectory');
    },
  );

  test('is not there in a new directory', async () => {
    expect(await readInstance(new MemoryDisk().fs, '/r')).toBeUndefined();
  });

  test.each([
    ['as it should be', `RMQL 1\n${UUID}\n`, UUID],
    ['with more behind it', `RMQL 1\n${UUID}\nwhat a later release adds${'.'.repeat(400)}`, UUID],
    ['of a later format', `RMQL 2\n${UUID}\n`, 'FORMAT_TOO_NEW'],
    ['of a later format that has two digits', `RMQL 12\n${UUID}\n`, 'FORMAT_TOO_NEW'],
    ['of a later format that has no uuid', 'RMQL 2\nwho knows', 'FORMAT_TOO_NEW'],
    ['without a uuid', 'RMQL 1\nwho knows', 'CORRUPT'],
    ['with less than a uuid', `RMQL 1\n${UUID.slice(0, 35)}\n`, 'CORRUPT'],
    ['with other letters', `RMQL 1\n${UUID.toUpperCase()}\n`, 'CORRUPT'],
    ['with nothing in it', '', 'CORRUPT'],
    ['with another beginning', `RMQX 1\n${UUID}\n`, 'CORRUPT'],
    ['with something in front', ` RMQL 1\n${UUID}\n`, 'CORRUPT'],
    ['without a version', `RMQL \n${UUID}\n`, 'CORRUPT'],
    ['full of zeros', '\0'.repeat(50), 'CORRUPT'],
  ])('is understood or refused: %s', async (_, text, expected) => {
    const disk = new MemoryDisk();
    disk.files.set('/r/INSTANCE', Buffer.from(text));
    if (expected === UUID) expect(await readInstance(disk.fs, '/r')).toBe(UUID);
    else
      await expect(readInstance(disk.fs, '/r')).rejects.toMatchObject({
        code: expected,
        where: '/r/INSTANCE',
        hint: expect.stringContaining(expected === 'CORRUPT' ? 'RMQL 1' : 'newer'),
      });
    expect(disk.openHandles).toBe(0);
  });
});
