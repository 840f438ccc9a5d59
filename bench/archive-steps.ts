import { existsSync, type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '@robustmq/core/testing';
import type { S3Moment } from '../test/real/s3-proxy.ts';
import type { S3Request } from '../test/real/s3-request.ts';

/** How long a step is waited for before another one is chosen. */
const WAIT_MS = 8000;
/** Behind a reply: what a node does next is a commit to Meta, or a file. */
const BEHIND_MS = 40;
/** Each at least so often. */
const HITS = 2;

const REQUESTS: readonly string[] = [
  'MULTIPART-BEGIN seg',
  'PART seg',
  'MULTIPART-END seg',
  'MULTIPART-ABORT seg',
  'PUT seg',
  'GET seg',
  'PUT manifest',
  'DELETE manifest',
];
const MOMENTS: readonly S3Moment[] = ['asked', 'done', 'answered'];
const META = 'Meta: something is written';
const GONE = 'disk: a local file is deleted';
const MADE = 'disk: a local file is made';

/** Kills a node at one step of a move at a time: at its requests to the store, which come by here, and at what it does on its disk. */
export class StepKills {
  readonly hits: Map<string, number> = new Map([
    ...REQUESTS.flatMap((request) => MOMENTS.map((moment): [string, number] => [`${request}, ${moment}`, 0])),
    [META, 0],
    [GONE, 0],
    [MADE, 0],
  ]);
  readonly #random: SeededRandom;
  #armed: { readonly step: string; hit(): Promise<void> } | undefined;
  #watchers: FSWatcher[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get missing(): string[] {
    return [...this.hits].filter(([, hits]) => hits < HITS).map(([step]) => step);
  }

  /** Of the node's data directory. */
  watch(data: string): void {
    const segments = join(data, 'engines/local/segments');
    this.#watchers = [
      watch(join(data, 'meta'), () => void this.#at(META)),
      watch(segments, (event, name) => {
        if (event === 'rename' && name !== null) void this.#at(existsSync(join(segments, name)) ? MADE : GONE);
      }),
    ];
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  /** For the proxy that the node's requests go through. */
  pause({ kind, key }: S3Request, moment: S3Moment): Promise<void> | undefined {
    const [, where = ''] = /\/(seg|manifest)\//.exec(key) ?? [];
    return this.#at(`${kind} ${where}, ${moment}`);
  }

  /** Chooses one of the steps that were hit least, and kills when the node comes to it. @returns the step; undefined: it did not come to it */
  async next(kill: () => Promise<void>): Promise<string | undefined> {
    const least = Math.min(...this.hits.values());
    const steps = [...this.hits].filter(([, hits]) => hits <= least + 1).map(([step]) => step);
    const step = steps[Math.floor(this.#random.next() * steps.length)] ?? META;
    const late = new AbortController();
    try {
      return await new Promise((resolve) => {
        this.#armed = {
          step,
          hit: async () => {
            this.#armed = undefined;
            if (step.endsWith('answered')) await sleep(this.#random.next() * BEHIND_MS);
            await kill();
            this.hits.set(step, (this.hits.get(step) ?? 0) + 1);
            // until its sockets are known to be gone
            await sleep(20);
            resolve(step);
          },
        };
        sleep(WAIT_MS, undefined, { signal: late.signal }).then(
          () => {
            if (this.#armed?.step === step) resolve(undefined);
          },
          () => {},
        );
      });
    } finally {
      this.#armed = undefined;
      late.abort();
    }
  }

  table(): string {
    return [...this.hits].map(([step, hits]) => `  ${step.padEnd(32)} ${hits}`).join('\n');
  }

  #at(step: string): Promise<void> | undefined {
    return this.#armed?.step === step ? this.#armed.hit() : undefined;
  }
}
