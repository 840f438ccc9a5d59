import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Paths } from '../../engines/hdfs/src/paths.ts';
import { at, bytesOf, put } from '../real/hdfs-request.ts';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';
import { lakeOn } from './hdfs-lake.ts';
import type { EngineSettings } from './stress.ts';

/** A store of a test's own, into which it reaches behind the engine's back. */
export interface StoreAtHand {
  readonly engine: EngineSettings;
  read(cluster: string, object: string): Promise<Buffer>;
  /** In place of what is there. */
  write(cluster: string, object: string, bytes: Uint8Array): Promise<void>;
  delete(cluster: string, object: string): Promise<void>;
  stop(): Promise<void>;
}

const BUCKET = 'at-hand';
const PATH = '/at-hand';

export async function s3AtHand(start: () => Promise<S3Server> = startMinio): Promise<StoreAtHand> {
  const server = await start();
  await server.createBucket(BUCKET);
  const { endpoint, accessKeyId, secretAccessKey, region } = server;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  const target = (cluster: string, object: string) => ({ Bucket: BUCKET, Key: `${cluster}/${object}` });
  return {
    engine: { use: 's3', bucket: BUCKET, endpoint, region, ...credentials },
    read: async (...place) => {
      const { Body } = await client.send(new GetObjectCommand(target(...place)));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    write: async (cluster, object, Body) => {
      await client.send(new PutObjectCommand({ ...target(cluster, object), Body }));
    },
    delete: async (...place) => {
      await client.send(new DeleteObjectCommand(target(...place)));
    },
    stop: async () => {
      client.destroy();
      await server.stop();
    },
  };
}

export async function hdfsAtHand(start: () => Promise<HdfsServer> = startHdfs): Promise<StoreAtHand> {
  const server = await start();
  const { nameNode } = server;
  const pathOf = (cluster: string, object: string) => new Paths(PATH, '').of(`${cluster}/${object}`);
  return {
    engine: lakeOn(server, { path: PATH }),
    read: (...place) => bytesOf(nameNode, pathOf(...place)),
    write: async (cluster, object, bytes) => {
      const said = await put(nameNode, pathOf(cluster, object), bytes, true);
      if (said !== 'created') throw new Error(said);
    },
    delete: async (...place) => {
      const { said, body } = await at(nameNode, 'DELETE', `${pathOf(...place)}?op=DELETE`);
      if (!body.toString().includes('true')) throw new Error(`${said}: it was not there`);
    },
    stop: () => server.stop(),
  };
}
