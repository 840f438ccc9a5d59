import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { command, inFolder } from '../../server/test/node-fixture.ts';
import { failsWith, said, VERBS, verbsFail } from './archive-verbs.ts';
import { archiveIn, configureArchive, fillArchive, placesIn } from './archived.ts';
import { readyz, whileRunning } from './bad-store.ts';
import { answering, HTML, problem, xml } from './s3-answers.ts';
import { type OwnStore, s3AtHand } from './store-at-hand.ts';
import { type EngineSettings, Log } from './stress.ts';

/** An impatient person: what is shown is what it says. */
const IMPATIENT = { requestTimeoutMs: '3s', patienceMs: '500ms' };
const ANOTHER_CLUSTER = '11111111-1111-4111-8111-111111111111';

let store: OwnStore;
let cwd: string;
beforeAll(async () => {
  // nothing of AWS around it
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nowhere');
  store = await s3AtHand();
  cwd = await mkdtemp(join(tmpdir(), 'robust-archive-'));
  await fillArchive(cwd, store.engine);
}, 120_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await store?.stop();
  await rm(cwd, { recursive: true, force: true });
});

interface Row {
  /** In place of what reaches the store. */
  readonly settings?: EngineSettings;
  /** What everything is answered with. */
  readonly answer?: Parameters<typeof answering>[0];
  readonly words?: readonly string[];
  readonly code: string;
  readonly hint: RegExp;
}

const ROWS: readonly (Row & { readonly what: string })[] = [
  {
    what: 'where nothing listens',
    settings: { endpoint: 'http://127.0.0.1:9' },
    code: 'STORE_UNAVAILABLE',
    hint: /Check the setting endpoint/,
  },
  {
    what: 'whose name does not resolve',
    settings: { endpoint: 'http://no-such-host.invalid' },
    code: 'STORE_UNAVAILABLE',
    hint: /Check the setting endpoint/,
  },
  { what: 'that does not answer', answer: () => {}, code: 'STORE_UNAVAILABLE', hint: /raise requestTimeoutMs/ },
  {
    what: 'that asks for fewer requests',
    answer: xml(503, problem('SlowDown')),
    code: 'STORE_UNAVAILABLE',
    hint: /fewer requests/,
  },
  {
    what: 'in another region',
    settings: { region: 'eu-north-1' },
    code: 'STORE_MISCONFIGURED',
    hint: /correct the setting region/,
  },
  {
    what: 'that does not know the access key',
    settings: { accessKeyId: 'nobody' },
    code: 'STORE_DENIED',
    hint: /accessKeyId/,
  },
  {
    what: 'that has another secret',
    settings: { secretAccessKey: 'wrong-secret' },
    code: 'STORE_DENIED',
    hint: /secretAccessKey/,
  },
  {
    what: 'for which there are no credentials',
    settings: { accessKeyId: undefined, secretAccessKey: undefined },
    code: 'STORE_DENIED',
    hint: /AWS_ACCESS_KEY_ID/,
  },
  {
    what: 'where this user may not read',
    answer: xml(403, problem('AccessDenied')),
    code: 'STORE_DENIED',
    hint: /s3:GetObject.*s3:ListBucket/,
  },
  {
    what: 'with a clock of its own',
    answer: xml(403, problem('RequestTimeTooSkewed')),
    code: 'STORE_DENIED',
    hint: /synchronise/,
  },
  {
    what: 'for which the credentials are too old',
    answer: xml(400, problem('ExpiredToken')),
    code: 'STORE_DENIED',
    hint: /Renew the credentials/,
  },
  {
    what: 'without the bucket',
    settings: { bucket: 'no-such-bucket' },
    code: 'STORE_MISCONFIGURED',
    hint: /Create the bucket, or correct the setting bucket/,
  },
  { what: 'that is none', answer: xml(200, HTML), code: 'INVALID_ARGUMENT', hint: /Correct endpoint, bucket/ },
  {
    what: 'with nothing of ours under the prefix',
    settings: { prefix: 'elsewhere/' },
    code: 'INVALID_ARGUMENT',
    hint: /Correct endpoint, bucket and prefix/,
  },
  {
    what: 'with the archive of another cluster only',
    words: ['--cluster', ANOTHER_CLUSTER],
    code: 'ARCHIVE_EMPTY',
    hint: /bucket and prefix, and at --cluster/,
  },
];

describe('Each verb of archive says what is wrong, and what to do, and ends, on a store', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'robust-archive-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(ROWS)('$what', async ({ settings = {}, answer, words = [], code, hint }) => {
    const run = async (own: EngineSettings): Promise<void> => {
      await verbsFail(folder, { ...store.engine, ...IMPATIENT, ...own }, { code, hint, words });
    };
    if (answer === undefined) await run(settings);
    else await answering(answer, (endpoint) => run({ endpoint }));
  });

  test('and has begun nothing: a restore into the same directory succeeds', async () => {
    await configureArchive(folder, store.engine);
    const restore = await archiveIn(folder)('restore', '--old-cluster-is-gone', '--data', 'new');
    expect(restore).toMatchObject({ code: 0, error: '' });
  });
});

describe('On a store of which somebody has', () => {
  /** The store is again as it was afterwards. */
  async function having(
    object: string,
    change: (before: Buffer) => Uint8Array | undefined,
    run: () => Promise<void>,
  ): Promise<void> {
    const { cluster } = await placesIn(cwd);
    const before = await store.read(cluster, object);
    const after = change(before);
    if (after === undefined) await store.delete(cluster, object);
    else await store.write(cluster, object, after);
    try {
      await run();
    } finally {
      await store.write(cluster, object, before);
    }
  }

  const flipped = (bytes: Buffer): Uint8Array => bytes.with(bytes.length >> 1, 1 ^ (bytes[bytes.length >> 1] ?? 0));
  const halved = (bytes: Buffer): Uint8Array => bytes.subarray(0, bytes.length >> 1);
  const gone = (): undefined => undefined;

  test.each([
    ['deleted a segment', gone, 'SEGMENT_LOST', /Somebody else has deleted the object: restore it/],
    ['cut a segment short', halved, 'CORRUPT', /Somebody else has changed the object: restore it/],
    ['changed one bit of a segment', flipped, 'CORRUPT', /Put the object back as it was/],
  ] as const)('%s, verify and cat say so, and what to do', async (_, change, code, hint) => {
    const { places } = await placesIn(cwd);
    await having(places[0]?.object ?? '', change, async () => {
      const verified = await said(cwd, ['verify']);
      failsWith(verified, code, hint);
      expect(verified.out).toMatch(new RegExp(`^audit +\\d+ .*${code}`, 'm'));
      const { wrong } = JSON.parse((await archiveIn(cwd)('verify', '--json')).out);
      expect(wrong[0]).toMatchObject({ topic: 'audit', code, hint: expect.stringMatching(hint) });
      failsWith(await said(cwd, ['cat', 'audit']), code, hint);
    });
    expect(await archiveIn(cwd)('verify')).toMatchObject({ code: 0, error: '' });
  });

  test.each([
    ['cut the newest manifest short', halved],
    ['changed one bit of the newest manifest', flipped],
    ['emptied the newest manifest', () => new Uint8Array(0)],
  ])('%s, each verb says so, and that an older one can be named', async (_, change) => {
    const archive = archiveIn(cwd);
    const numbers = (await archive('ls', '--manifests')).out.trim().split('\n');
    const [older, newest] = numbers.slice(-2);
    await having(`manifest/${newest?.padStart(16, '0')}`, change, async () => {
      for (const verb of VERBS) failsWith(await archive(...verb), 'CORRUPT', /Name an older one with --manifest/);
      expect(await archive('ls', '--manifest', older ?? '')).toMatchObject({ code: 0 });
    });
    expect(await archive('ls')).toMatchObject({ code: 0 });
  });

  test('deleted a manifest, whoever names it is told which there are', async () => {
    failsWith(
      await said(cwd, ['ls', '--manifest', '99999']),
      'IO_ERROR',
      /archive ls --manifests shows which there are/,
    );
  });
});

describe('On a store that does not serve it, a node that archives says the same in its log, on /readyz and by archive status', () => {
  test.each([
    ['where nothing listens', { endpoint: 'http://127.0.0.1:9' }, /STORE_UNAVAILABLE/, /Check the setting endpoint/],
    ['that has another secret', { secretAccessKey: 'wrong-secret' }, /STORE_DENIED/, /secretAccessKey/],
  ] as const)('%s', (_, own, code, hint) =>
    inFolder(async (folder) => {
      await configureArchive(folder, { ...store.engine, ...IMPATIENT, ...own });
      const log = new Log();
      await whileRunning(
        folder,
        async (node) => {
          await command(['pub', 'audit', 'a'], { node });
          const told = async (): Promise<readonly string[]> => {
            const { code: exit, out } = await command(['archive', 'status', 'audit'], { node });
            expect(exit).toBe(0);
            return [out, await readyz(node), log.text];
          };
          await vi.waitFor(
            async () => {
              for (const text of await told()) {
                expect(text).toMatch(code);
                expect(text).toMatch(hint);
              }
            },
            { timeout: 30_000, interval: 200 },
          );
        },
        log,
      );
    }),
  );
});
