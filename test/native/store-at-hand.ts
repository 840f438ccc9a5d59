import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Paths } from '../../engines/hdfs/src/paths.ts';
import { at, bytesOf, put } from '../real/hdfs-request.ts';
import { type HdfsServer, startHdfs } from '../real/hdfs-server.ts';
import { type S3Server, startMinio } from '../real/s3-server.ts';
import { lakeOn } from './hdfs-lake.ts';
import type { EngineSettings } from './stress.ts';

/** A store into which a test reaches behind the engine's back. */
export interface StoreAtHand {
  readonly engine: EngineSettings;
  read(cluster: string, object: string): Promise<Buffer>;
  /** In place of what is there. */
  write(cluster: string, object: string, bytes: Uint8Array): Promise<void>;
  delete(cluster: string, object: string): Promise<void>;
}

/** On a server that the test has to itself. */
export interface OwnStore extends StoreAtHand {
  stop(): Promise<void>;
}

const BUCKET = 'at-hand';
const PATH = '/at-hand';
const OWNER = 'root';

export async function s3AtHand(start: () => Promise<S3Server> = startMinio): Promise<OwnStore> {
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

export async function hdfsAtHand(): Promise<OwnStore> {
  const server = await startHdfs();
  return { ...storeOn(server), stop: () => server.stop() };
}

/** @param own as the engine is to be set up there */
export function storeOn(server: HdfsServer, own: EngineSettings = {}): StoreAtHand {
  const { nameNode } = server;
  const path = String(own.path ?? PATH);
  const pathOf = (cluster: string, object: string) => new Paths(path, '').of(`${cluster}/${object}`);
  return {
    engine: lakeOn(server, { path, ...own }),
    read: (...place) => bytesOf(nameNode, pathOf(...place), `&user.name=${OWNER}`),
    write: async (cluster, object, bytes) => {
      const said = await put(nameNode, pathOf(cluster, object), bytes, { overwrite: true, user: OWNER });
      if (said !== 'created') throw new Error(said);
    },
    delete: async (...place) => {
      const { said, body } = await at(nameNode, 'DELETE', `${pathOf(...place)}?op=DELETE&user.name=${OWNER}`);
      if (!body.toString().includes('true')) throw new Error(`${said}: it was not there`);
    },
  };
}
