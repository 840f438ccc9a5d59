import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isStorageError, nodeFileSystem } from '@robustmq/core';
import { Store } from '../src/store.ts';
import { batchAt, CREATE, directory, open } from './world.ts';

const STATE = { at: 0, length: 0 };

describe('a group that fails', () => {
  it('leaves nothing behind, and the next one is not harmed', async (t) => {
    const store = new Store(await directory(t), 'medium');
    t.after(() => store.close());
    const row = { at: 0, length: 1, prev: 0, base: 0, next: 1, maxTimestamp: 0, digest: 0 };
    const twice = { kind: 'part', key: 7, rows: [row, row], at: 0, length: 1 } as const;
    const create = { kind: 'create', id: 's', base: 0, epoch: 1, ...STATE } as const;
    assert.throws(() => store.run({ works: [create, twice], bytes: new Uint8Array(1) }), /UNIQUE/);
    const [recovered] = store.run({ works: [{ kind: 'recover', id: 's', epoch: 1 }], bytes: new Uint8Array(0) });
    assert.equal(recovered !== undefined && 'code' in recovered && recovered.code, 'SEGMENT_UNKNOWN');
    const [created] = store.run({ works: [create], bytes: new Uint8Array(0) });
    assert.ok(created !== undefined && 'key' in created);
  });

  it('commits nothing for an instance whose database another one has opened', async (t) => {
    const dir = await directory(t);
    const old = new Store(dir, 'medium');
    t.after(() => old.close());
    const fresh = new Store(dir, 'medium');
    t.after(() => fresh.close());
    const create = { kind: 'create', id: 's', base: 0, epoch: 1, ...STATE } as const;
    assert.throws(() => old.run({ works: [create], bytes: new Uint8Array(0) }), /another instance/);
    assert.ok(fresh.run({ works: [create], bytes: new Uint8Array(0) })[0]);
  });
});

it('refuses data for a full disk before anything is written, goes on to seal, and takes data again when there is room', async (t) => {
  let free = Number.POSITIVE_INFINITY;
  const fs = { ...nodeFileSystem, freeBytes: async () => free };
  const instance = await open(await directory(t), fs);
  t.after(() => instance.close());
  const writer = await instance.engine.create('a', CREATE);
  const other = await instance.engine.create('b', CREATE);
  free = 0;
  let base = 0;
  const untilRefused = async (): Promise<never> => {
    for (;;) base = (await writer.append([batchAt(base)], { base })).next;
  };
  await assert.rejects(untilRefused(), (error) => isStorageError(error, 'DISK_FULL') && error.outcome === 'none');
  assert.deepEqual(await other.seal(), { end: 0 });
  free = Number.POSITIVE_INFINITY;
  await writer.append([batchAt(base)], { base });
  assert.deepEqual(await writer.seal(), { end: base + 1 });
});
