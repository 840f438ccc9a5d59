import { settingsOf } from '@robustmq/conformance';
import { systemClock } from '@robustmq/core';
import type { ObjectStore } from '@robustmq/engine-objects';
import s3Engine from '@robustmq/engine-s3';
import type { S3Settings } from '../engines/s3/src/settings.ts';
import { openStore } from '../engines/s3/src/store/store.ts';
import { startMinio } from '../test/real/s3-server.ts';
import { inPieces, type ObjectsTarget } from './objects-target.ts';

const BUCKET = 'bench';

export async function s3Target(client: string): Promise<ObjectsTarget> {
  const server = await startMinio();
  await server.createBucket(BUCKET);
  const { endpoint, accessKeyId, secretAccessKey, region } = server;
  const config = { bucket: BUCKET, endpoint, accessKeyId, secretAccessKey, region, client };
  const settings = settingsOf(s3Engine, config) as unknown as S3Settings; // as the engine's schema says
  const store = await openStore(settings, systemClock);
  return {
    title: `MinIO on the same machine, client ${client}`,
    definition: s3Engine,
    config,
    upload: 'plain upload in parts',
    reads: `GETs of ${settings.pieceBytes / 2 ** 20} MiB, ${settings.readAheadPieces} at once`,
    plainUpload: (name, chunks) => uploadInParts(store, settings, name, chunks),
    plainReads: async () => {
      const { key, bytes } = await largestObject(store);
      return await inPieces(bytes, settings, (at, some) => store.getRange(key, at, some));
    },
    stop: async () => {
      store.close();
      await server.stop();
    },
  };
}

/** In parts of the engine's size, as many at once. */
async function uploadInParts(
  store: ObjectStore,
  { partBytes, partsAtOnce }: S3Settings,
  key: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  const upload = await store.beginUpload(key, { uid: key });
  const etags: string[] = [];
  const flights = new Set<Promise<void>>();
  let [bytes, parts, gathered] = [0, 0, 0];
  let part: Uint8Array[] = [];
  const send = async (): Promise<void> => {
    const index = parts++;
    const flight = store
      .putPart(key, upload, index + 1, [Buffer.concat(part)])
      .then((etag) => {
        etags[index] = etag;
      })
      .finally(() => void flights.delete(flight));
    flights.add(flight);
    [part, gathered] = [[], 0];
    if (flights.size >= partsAtOnce) await Promise.race(flights);
  };
  for await (const chunk of chunks) {
    part.push(chunk);
    gathered += chunk.length;
    bytes += chunk.length;
    if (gathered >= partBytes) await send();
  }
  if (gathered > 0) await send();
  await Promise.all(flights);
  await store.completeUpload(key, upload, etags);
  return bytes;
}

async function largestObject(store: ObjectStore): Promise<{ readonly key: string; readonly bytes: number }> {
  const { objects } = await store.list({ prefix: '', limit: 1000 });
  const [found] = objects.toSorted((a, b) => b.bytes - a.bytes);
  if (found === undefined) throw new Error('the bucket is empty');
  return found;
}
