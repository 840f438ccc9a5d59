// Creates the bucket BUCKET at S3_ENDPOINT when it is not there; waits for a server that is still starting.
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';

const { S3_ENDPOINT: endpoint, BUCKET: Bucket } = process.env;
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
for (let tries = 60; ; tries--) {
  try {
    await client.send(new CreateBucketCommand({ Bucket }));
    break;
  } catch (error) {
    if (error.name === 'BucketAlreadyOwnedByYou') break;
    if (tries === 0) throw error;
    await sleep(1000);
  }
}
