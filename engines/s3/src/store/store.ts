import type { Clock } from '@robustmq/core';
import type { ObjectStore } from '@robustmq/engine-objects';
import { checkSettings, type S3Settings } from '../settings.ts';

/** The store that the settings name, through the client that they name. Nothing is sent yet. @throws STORE_MISCONFIGURED */
export async function openStore(settings: S3Settings, clock: Clock): Promise<ObjectStore> {
  checkSettings(settings);
  if (settings.client === 'minio') return await (await import('./minio-store.ts')).openMinioStore(settings, clock);
  return await (await import('./aws-store.ts')).openAwsStore(settings, clock);
}
