import { systemClock, systemRandom } from '@robustmq/core';
import { afterAll, beforeAll } from 'vitest';
import { storeContract } from '../../../objects/test/store/contract.ts';
import { Bucket } from '../../../objects/test/support/bucket.ts';
import { MemoryStore } from '../../../objects/test/support/memory-store.ts';
import { openStore } from '../../src/store/store.ts';
import { HttpStore } from '../support/http-store.ts';
import { settingsOf } from '../support/settings.ts';

const world = { clock: systemClock, random: systemRandom };
let http: HttpStore;

beforeAll(async () => {
  http = await HttpStore.start({ bucket: new Bucket(world) });
});
afterAll(() => http.close());

for (const client of ['aws', 'minio'] as const)
  storeContract(`the client ${client}`, {
    open: () =>
      openStore(
        settingsOf({ endpoint: http.endpoint, client, accessKeyId: 'key', secretAccessKey: 'secret' }),
        systemClock,
      ),
  });

storeContract('the store in memory', { open: async () => new MemoryStore({ bucket: new Bucket(world), ...world }) });
