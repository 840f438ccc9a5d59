import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MIN_PART_BYTES, type ObjectStore, type StoreError } from '../../src/store/port.ts';

export interface ContractOptions {
  /** Opened once. The bucket is there; what the tests put lies below a prefix of their own. */
  readonly open: () => Promise<ObjectStore>;
  /** Of a real server that does not keep them. */
  readonly conditionalCreates?: boolean;
  /** Of a store that is asked for folders at its root only. */
  readonly folders?: boolean;
}

/** What every client says of every store that is well: run on doubles here, on real servers in `npm run test:native`. */
export function storeContract(
  name: string,
  { open, conditionalCreates = true, folders = true }: ContractOptions,
): void {
  describe(name, () => {
    const root = `contract-${randomUUID()}/`;
    let store: ObjectStore;
    const put = (key: string, text: string, uid = 'a'): Promise<void> =>
      store.put(root + key, [Buffer.from(text)], { uid });

    beforeAll(async () => {
      store = await open();
    });
    afterAll(() => store.close());

    test('gives back what was put, of several chunks, whole and in ranges', async () => {
      const body = [randomBytes(70_000), new Uint8Array(0), randomBytes(1), randomBytes(200_000)];
      const whole = Buffer.concat(body);
      const key = `${root}ranges`;
      await store.put(key, body, { uid: 'one' });
      expect(await store.head(key)).toEqual({ bytes: whole.length, uid: 'one' });
      for (const [at, bytes] of [
        [0, whole.length],
        [0, 1],
        [whole.length - 1, 1],
        [69_990, 20],
      ] as const)
        expect(Buffer.compare(await store.getRange(key, at, bytes), whole.subarray(at, at + bytes))).toBe(0);
    });

    test('gives tails, also of objects that are shorter', async () => {
      await put('tail', '0123456789');
      const tail = async (bytes: number) => {
        const { bytes: found, size } = await store.getTail(`${root}tail`, bytes);
        return [Buffer.from(found).toString(), size];
      };
      expect(await tail(3)).toEqual(['789', 10]);
      expect(await tail(10)).toEqual(['0123456789', 10]);
      expect(await tail(1000)).toEqual(['0123456789', 10]);
    });

    test('takes an empty object', async () => {
      await put('empty', '');
      expect(await store.head(`${root}empty`)).toEqual({ bytes: 0, uid: 'a' });
    });

    test('says that a range does not lie in the object', async () => {
      await put('short', '0123456789');
      for (const [at, bytes] of [
        [0, 11],
        [9, 2],
        [10, 1],
        [500, 1],
      ] as const)
        expect(await troubleOf(store.getRange(`${root}short`, at, bytes))).toBe('truncated');
    });

    test('says that there is no such object', async () => {
      expect(await store.head(`${root}none`)).toBeUndefined();
      expect(await troubleOf(store.getRange(`${root}none`, 0, 1))).toBe('not-found');
      expect(await troubleOf(store.getTail(`${root}none`, 1))).toBe('not-found');
      await store.delete(`${root}none`);
    });

    test('deletes, again and again', async () => {
      await put('deleted', 'x');
      await store.delete(`${root}deleted`);
      await store.delete(`${root}deleted`);
      expect(await store.head(`${root}deleted`)).toBeUndefined();
    });

    test.runIf(conditionalCreates)('creates only what is not there', async () => {
      const create = (uid: string) => store.put(`${root}created`, [Buffer.from(uid)], { uid, ifAbsent: true });
      await create('first');
      await expect(create('second')).rejects.toMatchObject({ trouble: 'exists', mayBeApplied: false });
      expect(await store.head(`${root}created`)).toMatchObject({ uid: 'first' });
    });

    test('lists in the order of UTF-8 bytes, in pages, below a prefix', async () => {
      // JavaScript's order has the last two the other way round
      const keys = [
        'list/a b',
        'list/a+b',
        'list/a/1',
        'list/a/2',
        'list/b&<c>',
        'list/é',
        'list/\uff5e',
        'list/\u{1f600}',
      ];
      await Promise.all([...keys, 'other'].map((key) => put(key, key)));
      const found: string[] = [];
      for (let after: string | undefined, more = true; more; ) {
        const page = await store.list({ prefix: `${root}list/`, limit: 3, ...(after === undefined ? {} : { after }) });
        found.push(...page.objects.map(({ key }) => key.slice(root.length)));
        after = page.objects.at(-1)?.key;
        ({ more } = page);
      }
      expect(found).toEqual(keys);
      const [first] = (await store.list({ prefix: `${root}list/`, limit: 1 })).objects;
      expect(first?.bytes).toBe(Buffer.byteLength('list/a b'));
      expect(first?.putAt).toBeGreaterThan(1_600_000_000_000);
    });

    if (folders)
      test('lists folders once', async () => {
        await Promise.all(['tree/a', 'tree/b/1', 'tree/b/2', 'tree/c/1', 'tree/d'].map((key) => put(key, key)));
        const found = await store.list({ prefix: `${root}tree/`, limit: 100, delimiter: '/' });
        expect(found).toMatchObject({
          prefixes: [`${root}tree/b/`, `${root}tree/c/`],
          objects: [{ key: `${root}tree/a` }, { key: `${root}tree/d` }],
          more: false,
        });
        // behind all that lies in the first
        const rest = await store.list({ prefix: `${root}tree/`, limit: 100, delimiter: '/', after: `${root}tree/b0` });
        expect(rest).toMatchObject({ prefixes: [`${root}tree/c/`], objects: [{ key: `${root}tree/d` }], more: false });
      });

    test('stores an object in parts, which is there when it is complete', async () => {
      const key = `${root}parts`;
      const parts = [randomBytes(MIN_PART_BYTES), randomBytes(1000)];
      const upload = await store.beginUpload(key, { uid: 'u' });
      const etags = await Promise.all(parts.map((part, i) => store.putPart(key, upload, i + 1, [part])));
      expect(await store.head(key)).toBeUndefined();
      await store.completeUpload(key, upload, etags);
      expect(await store.head(key)).toEqual({ bytes: MIN_PART_BYTES + 1000, uid: 'u' });
      const across = await store.getRange(key, MIN_PART_BYTES - 10, 20);
      expect(Buffer.compare(across, Buffer.concat(parts).subarray(MIN_PART_BYTES - 10, MIN_PART_BYTES + 10))).toBe(0);
    });

    test('gives an upload up, again and again, and takes nothing more for it', async () => {
      const key = `${root}given-up`;
      const upload = await store.beginUpload(key, { uid: 'u' });
      const etag = await store.putPart(key, upload, 1, [Buffer.from('x')]);
      await store.abortUpload(key, upload);
      await store.abortUpload(key, upload);
      expect(await troubleOf(store.putPart(key, upload, 2, [Buffer.from('y')]))).toBe('no-upload');
      expect(await troubleOf(store.completeUpload(key, upload, [etag]))).toBe('no-upload');
      expect(await store.head(key)).toBeUndefined();
    });

    test('sends nothing for one who has given up already', async () => {
      const signal = AbortSignal.abort();
      await expect(store.put(`${root}never`, [Buffer.from('x')], { uid: 'a', signal })).rejects.toMatchObject({
        trouble: 'aborted',
        mayBeApplied: false,
      });
      expect(await store.head(`${root}never`)).toBeUndefined();
    });
  });
}

export async function troubleOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'none',
    (error: StoreError) => error.trouble,
  );
}
