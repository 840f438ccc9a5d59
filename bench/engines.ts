/**
 * `npm run bench:engines [-- flags of bench:engine]`: all engines of the house on the same work, S3 on a real MinIO and HDFS on a real one, which it starts. The chart
 * of docs/engines.md: `-- --seconds 3 --repeat 3 --segments 16 --in-flight 1,64,256 --svg docs/engines.svg`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHdfs } from '../test/real/hdfs-server.ts';
import { startMinio } from '../test/real/s3-server.ts';

const BUCKET = 'bench';

const directory = await mkdtemp(join(tmpdir(), 'robust-bench-engines-'));
const minio = await startMinio();
const hdfs = await startHdfs();
try {
  await minio.createBucket(BUCKET);
  const { endpoint, accessKeyId, secretAccessKey } = minio;
  const s3 = await settings('s3', { bucket: BUCKET, endpoint, accessKeyId, secretAccessKey });
  const lake = await settings('hdfs', { nameNodes: [hdfs.nameNode.httpAddress], user: 'root' });
  const engines = ['memory', 'local-file', `s3=${s3}`, `hdfs=${lake}`];
  const program = join(import.meta.dirname, 'engine.ts');
  const child = spawn(process.execPath, [program, ...engines, ...process.argv.slice(2)], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await hdfs.stop();
  await minio.stop();
  await rm(directory, { recursive: true });
}

/** JSON is YAML. */
async function settings(name: string, values: Readonly<Record<string, unknown>>): Promise<string> {
  const file = join(directory, `${name}.yaml`);
  await writeFile(file, JSON.stringify(values));
  return file;
}
