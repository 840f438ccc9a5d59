import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Clients, eventually } from '../clients.ts';
import { ServerProcess } from '../crash/server-process.ts';
import { type S3Server, startMinio, startVersitygw } from '../real/s3-server.ts';

const BUCKET = 'said';

let servers: S3Server[] = [];
let cwd: string;
beforeAll(async () => {
  servers = [await startMinio(), await startVersitygw()];
  for (const server of servers) await server.createBucket(BUCKET);
  cwd = await mkdtemp(join(tmpdir(), 'robust-said-'));
});
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  for (const server of servers) await server.stop();
  await rm(cwd, { recursive: true, force: true });
});

/** A node that is started as a user does, with an S3 instance of these settings. */
async function started(name: string, settings: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const lines = Object.entries(settings).map(([key, value]) => `    ${key}: ${value}\n`);
  await writeFile(
    join(cwd, 'robust.yaml'),
    `engines:\n  lake:\n    use: s3\n${lines.join('')}    requestTimeoutMs: 500ms\n    patienceMs: 600ms\ntopics:\n  - { match: "lake", engine: lake }\n`,
  );
  return new ServerProcess({ data: join(cwd, name), config: join(cwd, 'robust.yaml'), cwd });
}

describe.each(['minio', 'versitygw'])('robust-server start, with %s', (name) => {
  const settingsOf = (): Record<string, string> => {
    const server = servers.find((one) => one.name === name);
    if (server === undefined) throw new Error(`${name} does not run`);
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    return { bucket: BUCKET, endpoint, region, accessKeyId, secretAccessKey };
  };

  test.each([
    ['a bucket that does not exist', { bucket: 'no-such-bucket' }, /Create the bucket/],
    ['another region', { region: 'eu-north-1' }, /correct the setting region/],
  ] as const)('says what is wrong with %s, and ends', async (what, change, hint) => {
    const node = await started(`${name}-${what.length}`, { ...settingsOf(), ...change });
    try {
      await expect(node.ready()).rejects.toThrow(/did not start/);
      await eventually(
        () => node.running,
        (running) => !running,
      );
      expect(node.log).toMatch(/STORE_MISCONFIGURED/);
      expect(node.log).toMatch(hint);
    } finally {
      if (node.running) await node.kill();
    }
  });

  test('says in its log and on /readyz that there are no credentials, and serves other topics', async () => {
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(cwd, 'none'));
    vi.stubEnv('AWS_CONFIG_FILE', join(cwd, 'none'));
    const { bucket = '', endpoint = '', region = '' } = settingsOf();
    const node = await started(`${name}-none`, { bucket, endpoint, region });
    try {
      await node.ready();
      const clients = new Clients(node.ports);
      const said = await eventually(
        async () => (await fetch(`${clients.admin}/readyz`)).text(),
        (text) => /STORE_DENIED/.test(text),
        15_000,
      );
      expect(said).toMatch(/AWS_ACCESS_KEY_ID/);
      expect(node.log).toMatch(/STORE_DENIED/);
      await clients.kcatPublish('elsewhere', ['a']);
      expect(await clients.kcatAll('elsewhere', '%s\n')).toEqual(['a']);
    } finally {
      await node.kill();
    }
  });
});
