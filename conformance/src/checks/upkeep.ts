import assert from 'node:assert/strict';
import type { IngestOptions, StorageEngine } from '@robustmq/core';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { type Check, durable } from '../check.ts';
import { assertHolds, refused, settled } from '../expect.ts';
import { inTime } from '../faults-io/ledger.ts';
import { chunks, fill, open } from './segments.ts';

/** More than any engine needs for so little. */
const REQUESTS = 10_000;

export const upkeepChecks: readonly Check[] = [
  {
    id: 'SHARD-279',
    level: 'MUST',
    area: 'deletion',
    subject: 'engine',
    promise: 'lose nothing to its own housekeeping, whatever is written and copied meanwhile',
    why: 'What sweeps away the remains of failed copies decides what nobody needs any more. A copy that has arrived and is not published yet looks just like one.',
    async run(trial) {
      const { append } = trial.definition.capabilities;
      const held = new Map<string, readonly Buffer[]>();
      const copy = (tag: string): Uint8Array[] => [0, 1, 2].map((base) => batch({ base, tag, valueBytes: 3000 }));
      const ingest = async (id: string): Promise<void> => {
        const made = copy(id);
        await trial.engine.ingest(id, taken(made.length), chunks(...made));
        held.set(id, made.map(bodyOf));
      };
      for (const id of ['kept', 'dropped']) await ingest(id);
      await trial.engine.delete('dropped');
      held.delete('dropped');
      const writer = append ? await open(trial.engine, { id: 'open' }) : undefined;
      if (append) {
        const sealed = await open(trial.engine, { id: 'sealed' });
        held.set('sealed', await fill(sealed, 10));
        await sealed.seal();
      }

      const made = copy('coming');
      let half: () => void = () => {};
      const reached = new Promise<void>((resolve) => {
        half = resolve;
      });
      let goOn: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      async function* slow(): AsyncGenerator<Uint8Array> {
        for (const [i, bytes] of made.entries()) {
          if (i === 2) {
            half();
            await gate;
          }
          yield bytes;
        }
      }
      const coming = trial.engine.ingest('coming', taken(made.length), slow());
      await inTime('an ingest', Promise.race([reached, coming]));
      const written: Buffer[] = [];
      const writing = writer === undefined ? undefined : fill(writer, 20).then((bodies) => written.push(...bodies));
      for (let i = 0; i < 3; i++) await keepUp(trial.engine);
      goOn();
      await inTime('an ingest', coming);
      held.set('coming', made.map(bodyOf));
      await writing;
      await keepUp(trial.engine);
      if (writer !== undefined) assertHolds(await readAll(logOf(writer)), 0, written);
      await assertAll(trial.engine, held);

      await refused(trial.engine.openReader('dropped'), ['SEGMENT_UNKNOWN', 'SEGMENT_LOST']);

      if (!durable(trial.definition.capabilities, trial.harness)) return;
      await trial.harness.reopen({ crash: trial.harness.canCrash });
      // what a restart itself has lost is for other checks to tell
      const there = await trial.engine.list({ prefix: '', limit: 100 });
      const readable = new Map<string, readonly Buffer[]>();
      for (const [id, bodies] of held) {
        const reader = await settled(trial.engine.openReader(id));
        if ('error' in reader) continue;
        readable.set(id, bodies);
        await reader.value.close();
      }
      // before anybody has said what belongs to whom
      await keepUp(trial.engine);
      assert.deepEqual(await trial.engine.list({ prefix: '', limit: 100 }), there, 'ids after housekeeping');
      if (there.includes('open')) await trial.engine.recover('open', { epoch: 2 });
      await keepUp(trial.engine);
      await assertAll(trial.engine, readable);
    },
  },
];

/** Younger than the others, and after them in the list. */
export const laterUpkeepChecks: readonly Check[] = [
  {
    id: 'SHARD-295',
    level: 'MUST',
    area: 'capabilities',
    subject: 'engine',
    promise: 'end its housekeeping soon after its signal has aborted, also when it had before',
    why: 'A node that leaves waits for the round that is running. One that listens for an abort hears nothing of what came before it listened, and the node never gets away.',
    async run({ engine }) {
      const held = new Map<string, readonly Buffer[]>();
      for (const id of ['kept', 'dropped']) {
        const made = [0, 1, 2].map((base) => batch({ base, tag: id, valueBytes: 3000 }));
        await engine.ingest(id, taken(made.length), chunks(...made));
        held.set(id, made.map(bodyOf));
      }
      await engine.delete('dropped');
      held.delete('dropped');
      for (const when of ['before', 'meanwhile']) {
        const leaving = new AbortController();
        if (when === 'before') leaving.abort();
        const { signal } = leaving;
        // that it failed is as good: whoever leaves does not look
        const ended = engine.maintain?.({ requestBudget: REQUESTS, signal }).catch(() => {});
        leaving.abort();
        await inTime(`housekeeping whose signal aborted ${when}`, ended ?? Promise.resolve());
      }
      await keepUp(engine);
      await assertAll(engine, held);
    },
  },
];

async function keepUp(engine: StorageEngine): Promise<void> {
  const signal = new AbortController().signal;
  await inTime('housekeeping', engine.maintain?.({ requestBudget: REQUESTS, signal }) ?? Promise.resolve());
}

async function assertAll(engine: StorageEngine, held: ReadonlyMap<string, readonly Buffer[]>): Promise<void> {
  for (const [id, bodies] of held) {
    const reader = await engine.openReader(id);
    assertHolds(await readAll(logOf(reader)), 0, bodies);
    await reader.close();
  }
}

function taken(end: number): IngestOptions {
  return { base: 0, end, epoch: 1, state: new Uint8Array(0), uid: 'u' };
}
