import type { Clock } from '@robustmq/core';
import type { Hints, ObjectBackend } from '@robustmq/engine-objects';
import type { S3Settings } from './settings.ts';
import { openStore } from './store/store.ts';

/** @throws STORE_MISCONFIGURED */
export async function backendOf(settings: S3Settings, clock: Clock): Promise<ObjectBackend> {
  return {
    store: await openStore(settings, clock),
    // some stores check first and create then, some do not look at all
    creates: 'probed',
    place: { noun: 'bucket', settings: 'endpoint, bucket and prefix' },
    hints: HINTS,
  };
}

export const HINTS: Hints = {
  'not-found': 'Somebody else has deleted the object: restore it from a version or a copy of the bucket',
  exists: 'Another writer uses the same names: give each cluster a bucket or a prefix of its own',
  truncated: 'Somebody else has changed the object: restore it from a version or a copy of the bucket',
  unreachable: 'Check the setting endpoint, the network, and that the store runs',
  denied:
    'Allow these credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket on the bucket',
  credentials:
    'Set accessKeyId and secretAccessKey, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, to what the store knows',
  expired: 'Renew the credentials; those of a profile or a role are read again by themselves',
  'no-bucket': 'Create the bucket, or correct the setting bucket',
  'wrong-region': 'The bucket lies in another region: correct the setting region',
};
