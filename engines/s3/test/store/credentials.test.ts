import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@robustmq/core';
import { VirtualClock } from '@robustmq/core/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Bucket } from '../../../objects/test/support/bucket.ts';
import { checkSettings, type S3Settings } from '../../src/settings.ts';
import { type Credentials, renewed } from '../../src/store/credentials.ts';
import { openStore } from '../../src/store/store.ts';
import { HttpStore } from '../support/http-store.ts';
import { settingsOf } from '../support/settings.ts';

afterEach(() => vi.unstubAllEnvs());

describe('credentials that are looked up', () => {
  const counted = (expiresAfterMs?: number) => {
    const clock = new VirtualClock();
    const found = { count: 0, fails: false };
    const source = renewed(clock, async (): Promise<Credentials> => {
      found.count++;
      await new Promise((resolve) => setImmediate(resolve));
      if (found.fails) throw new Error('no such profile');
      const expiration = expiresAfterMs === undefined ? {} : { expiration: new Date(clock.wall() + expiresAfterMs) };
      return { accessKeyId: `key ${found.count}`, secretAccessKey: 'secret', ...expiration };
    });
    const key = async (): Promise<string> => (await source()).accessKeyId;
    return { clock, found, source, key };
  };

  test('are looked up once for all who ask', async () => {
    const { key, found } = counted();
    expect(await Promise.all([key(), key(), key()])).toEqual(['key 1', 'key 1', 'key 1']);
    expect(await key()).toBe('key 1');
    expect(found.count).toBe(1);
  });

  test('are renewed five minutes before they expire, and read again after a minute when they do not say', async () => {
    const role = counted(3_600_000);
    expect(await role.key()).toBe('key 1');
    await role.clock.advance(54 * 60_000);
    expect(await role.key()).toBe('key 1');
    await role.clock.advance(2 * 60_000);
    expect(await role.key()).toBe('key 2');
    const file = counted();
    expect(await file.key()).toBe('key 1');
    await file.clock.advance(61_000);
    expect(await file.key()).toBe('key 2');
  });

  test('stay as they are when new ones can not be had, and are missed when there never were any', async () => {
    const { clock, key, found, source } = counted();
    await key();
    found.fails = true;
    await clock.advance(61_000);
    expect(await key()).toBe('key 1');
    const none = counted();
    none.found.fails = true;
    await expect(none.key()).rejects.toMatchObject({
      trouble: 'credentials',
      mayBeApplied: false,
      message: expect.stringContaining('no such profile'),
    });
    none.found.fails = false;
    expect(await none.key()).toBe('key 2');
    expect(source).toBeTypeOf('function');
  });
});

describe.each(['aws', 'minio'] as const)('the client %s', (client) => {
  const inFolder = async (run: (folder: string) => Promise<void>): Promise<void> => {
    const folder = await mkdtemp(join(tmpdir(), 'robust-credentials-'));
    // nothing of this machine's
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
    for (const name of [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_SESSION_TOKEN',
      'AWS_PROFILE',
      'AWS_CONTAINER_CREDENTIALS_FULL_URI',
      'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
      'AWS_CONTAINER_AUTHORIZATION_TOKEN',
    ])
      vi.stubEnv(name, undefined);
    try {
      await run(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  /** The headers of a request that is signed with what these settings and this clock find. */
  const signed = async (own: Partial<S3Settings>, between: (clock: VirtualClock) => Promise<void> = async () => {}) => {
    const clock = new VirtualClock(systemClock.wall());
    const http = await HttpStore.start({ bucket: new Bucket({ clock, random: systemRandom }) });
    const store = await openStore(settingsOf({ endpoint: http.endpoint, client, ...own }), clock);
    try {
      await store.head('a');
      await between(clock);
      await store.head('a');
      return http.requests.map(({ headers }) => headers);
    } finally {
      store.close();
      await http.close();
    }
  };
  const signedBy = (key: string, token?: string) => ({
    authorization: expect.stringContaining(`Credential=${key}/`),
    ...(token === undefined ? {} : { 'x-amz-security-token': token }),
  });

  test('signs with the settings’ own', () =>
    inFolder(async () => {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'from-environment');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
      const [headers] = await signed({ accessKeyId: 'own', secretAccessKey: 'x', sessionToken: 'token' });
      expect(headers).toMatchObject(signedBy('own', 'token'));
    }));

  test('signs with those of the environment', () =>
    inFolder(async () => {
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'from-environment');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
      vi.stubEnv('AWS_SESSION_TOKEN', 'token');
      const [headers] = await signed({});
      expect(headers).toMatchObject(signedBy('from-environment', 'token'));
    }));

  test.each([
    ['a profile', { profile: 'archive' }],
    ['the default profile', {}],
  ])('signs with those of %s, and with new ones that are written there', (_, own) =>
    inFolder(async (folder) => {
      const write = (key: string): Promise<void> => {
        const profile = `aws_access_key_id = ${key}\naws_secret_access_key = x\naws_session_token = of-${key}\n`;
        return writeFile(join(folder, 'credentials'), `[default]\n${profile}[archive]\n${profile}`);
      };
      await write('first');
      const [first, second] = await signed(own, async (clock) => {
        await write('second');
        await clock.advance(61_000);
      });
      expect(first).toMatchObject(signedBy('first', 'of-first'));
      expect(second).toMatchObject(signedBy('second', 'of-second'));
    }),
  );

  /** What hands out the credentials of a role: a new key each time, the first of which is good for an hour. */
  const withRole = async (
    answer: (path: string, credentials: () => object) => unknown,
    run: (url: string, asked: IncomingMessage[]) => Promise<void>,
  ): Promise<void> => {
    const asked: IncomingMessage[] = [];
    let keys = 0;
    const credentials = (): object => ({
      Code: 'Success',
      Type: 'AWS-HMAC',
      AccessKeyId: `role-${++keys}`,
      SecretAccessKey: 'x',
      Token: `of-role-${keys}`,
      LastUpdated: new Date(systemClock.wall()).toISOString(),
      Expiration: new Date(systemClock.wall() + keys * 3_600_000).toISOString(),
    });
    const server = createServer((request, response) => {
      asked.push(request);
      const body = answer(request.url ?? '', credentials);
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked); // it listens on a port
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  const nearlyAnHour = (clock: VirtualClock): Promise<void> => clock.advance(56 * 60_000);

  test('signs with those of a container’s role, and with new ones before they expire', () =>
    inFolder(() =>
      withRole(
        (_, credentials) => credentials(),
        async (url, asked) => {
          vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${url}/role`);
          vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'let me in');
          const [first, second] = await signed({}, nearlyAnHour);
          expect(first).toMatchObject(signedBy('role-1', 'of-role-1'));
          expect(second).toMatchObject(signedBy('role-2', 'of-role-2'));
          expect(asked.map((request) => [request.url, request.headers.authorization])).toEqual([
            ['/role', 'let me in'],
            ['/role', 'let me in'],
          ]);
        },
      ),
    ));

  test('signs with those of a machine’s role, and with new ones before they expire', () =>
    inFolder(() =>
      withRole(
        (path, credentials) => {
          if (path === '/latest/api/token') return 'token';
          return path.endsWith('/the-role') ? credentials() : 'the-role';
        },
        async (url, asked) => {
          vi.stubEnv('AWS_EC2_METADATA_DISABLED', undefined);
          vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', url);
          const [first, second] = await signed({}, nearlyAnHour);
          expect(first).toMatchObject(signedBy('role-1', 'of-role-1'));
          expect(second).toMatchObject(signedBy('role-2', 'of-role-2'));
          // each time with a token of a session, as IMDSv2 wants it
          const ofRole = asked.filter((request) => request.url?.endsWith('/the-role'));
          expect(ofRole.map(({ headers }) => headers['x-aws-ec2-metadata-token'])).toEqual(['token', 'token']);
        },
      ),
    ));

  test('says that there are none', () =>
    inFolder(async () => {
      await expect(signed({})).rejects.toMatchObject({
        name: 'StoreError',
        trouble: 'credentials',
        mayBeApplied: false,
      });
      await expect(signed({ profile: 'nobody' })).rejects.toMatchObject({ trouble: 'credentials' });
    }));
});

describe('settings', () => {
  test.each<[string, Partial<S3Settings>]>([
    ['endpoint is minio:9000', { endpoint: 'minio:9000' }],
    ['endpoint is 127.0.0.1', { endpoint: '127.0.0.1' }],
    ['endpoint is http://a/bucket', { endpoint: 'http://a/bucket' }],
    ['endpoint is http://...@a', { endpoint: 'http://u:p@a' }],
    ['endpoint is http://a?x=1', { endpoint: 'http://a?x=1' }],
    ['of accessKeyId and secretAccessKey one is set', { accessKeyId: 'a' }],
    ['of accessKeyId and secretAccessKey one is set', { secretAccessKey: 'a' }],
    ['sessionToken is set without accessKeyId', { sessionToken: 'a' }],
    ['both accessKeyId and profile are set', { accessKeyId: 'a', secretAccessKey: 'b', profile: 'c' }],
    ['kmsKeyId is set and nothing is encrypted with it', { kmsKeyId: 'a' }],
  ])('that can not be meant are refused: %s', async (message, own) => {
    await expect(openStore(settingsOf(own), systemClock)).rejects.toMatchObject({
      code: 'STORE_MISCONFIGURED',
      message,
      hint: expect.stringMatching(/^(Give|Set) /),
    });
  });

  test.each<Partial<S3Settings>>([
    {},
    { endpoint: 'http://127.0.0.1:9000' },
    { endpoint: 'https://minio.example.org/' },
    { kmsKeyId: 'a', serverSideEncryption: 'aws:kms' },
  ])('that can be meant are taken: %j', (own) => {
    expect(() => checkSettings(settingsOf(own))).not.toThrow();
  });
});
