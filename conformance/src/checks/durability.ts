import assert from 'node:assert/strict';
import { batch, bodyOf, logOf, readAll } from '../batches.ts';
import { appends, appendsDurably, type Check, durable, survivesCrashes } from '../check.ts';
import { assertHolds, refused } from '../expect.ts';
import { fill, open } from './segments.ts';

const STATE = new Uint8Array([7, 0, 255, 1]);

export const durabilityChecks: readonly Check[] = [
  {
    id: 'SHARD-020',
    level: 'MUST',
    area: 'durability',
    subject: 'log',
    promise: 'hold what was acknowledged when it is closed and opened again, several times over',
    why: 'The plainest promise of all. What is recovered once and lost at the second start was never tested a second time.',
    claimed: appendsDurably,
    async run({ log }) {
      const bodies: Buffer[] = [];
      for (let round = 0; round < 3; round++) {
        const made = Array.from({ length: 20 }, (_, i) => batch({ tag: `r${round}-${i}`, records: 1 + (i % 3) }));
        bodies.push(...made.map(bodyOf));
        await Promise.all(made.map((bytes) => log.append([bytes])));
        await log.reopen({ crash: false });
        assertHolds(await readAll(log), 0, bodies);
      }
    },
  },
  {
    id: 'SHARD-021',
    level: 'MUST',
    area: 'durability',
    subject: 'log',
    promise: 'hold what was acknowledged when the process is gone without a word',
    why: 'An acknowledgement that only a clean stop makes true is the most common lie of storage.',
    claimed: survivesCrashes,
    async run({ log }) {
      const bodies: Buffer[] = [];
      for (let round = 0; round < 3; round++) {
        const made = Array.from({ length: 20 }, (_, i) => batch({ tag: `r${round}-${i}` }));
        bodies.push(...made.map(bodyOf));
        await Promise.all(made.map((bytes) => log.append([bytes])));
        await log.reopen({ crash: true });
        assertHolds(await readAll(log), 0, bodies);
      }
    },
  },
  {
    id: 'SHARD-022',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'serve a sealed segment after a crash without any recovery',
    why: 'Sealed is final: core never asks again about it, and reads it from then on.',
    claimed: survivesCrashes,
    async run(trial) {
      const writer = await open(trial.engine, { state: STATE });
      const bodies = await fill(writer, 30);
      await writer.seal();
      await trial.harness.reopen({ crash: true });
      const reader = await trial.engine.openReader('s-1');
      assert.deepEqual(reader.offsets(), { base: 0, committed: 30, end: 30, sealed: true });
      assertHolds(await readAll(logOf(reader)), 0, bodies);
      await reader.close();
    },
  },
  {
    id: 'SHARD-023',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'hold the state of a segment with the segment',
    why: 'Core goes on from that state after a restart; deduplication was once lost in the gap between data and state, and a retry became a copy.',
    claimed: appends,
    async run(trial) {
      const writer = await open(trial.engine, { state: STATE });
      assert.deepEqual(new Uint8Array(await writer.state()), STATE);
      await fill(writer, 3);
      if (durable(trial.definition.capabilities, trial.harness)) {
        await trial.harness.reopen({ crash: trial.harness.canCrash });
        await trial.engine.recover('s-1', { epoch: 2 });
      } else await writer.seal();
      const reader = await trial.engine.openReader('s-1');
      assert.deepEqual(new Uint8Array(await reader.state()), STATE);
      await reader.close();
    },
  },
  {
    id: 'SHARD-024',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'say SEGMENT_LOST of what went with the process, when it promises no more than that',
    why: 'An empty answer in place of a loss lets offsets begin again, and consumers skip or repeat without a sign.',
    claimed: (capabilities) => capabilities.durability === 'none' && capabilities.append,
    async run(trial) {
      await fill(await open(trial.engine), 5);
      await trial.harness.reopen({ crash: false });
      await refused(trial.engine.recover('s-1', { epoch: 2 }), 'SEGMENT_LOST', 'none');
      await refused(trial.engine.openReader('s-1'), 'SEGMENT_LOST', 'none');
    },
  },
  {
    id: 'SHARD-025',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'name the same medium again after a restart, and never an emptied one by the old name',
    why: 'A replica with a wiped disk that answered as if nothing had changed has lost acknowledged data more than once.',
    async run(trial) {
      const { incarnation } = trial.engine;
      assert.ok(incarnation.length > 0);
      await trial.harness.reopen({ crash: false });
      if (durable(trial.definition.capabilities, trial.harness)) assert.equal(trial.engine.incarnation, incarnation);
      else assert.notEqual(trial.engine.incarnation, incarnation);
    },
  },
  {
    id: 'SHARD-026',
    level: 'MUST',
    area: 'durability',
    subject: 'engine',
    promise: 'hold a segment from the moment `create` has resolved',
    why: 'Meta has its entry by then. A segment that only its first record makes real is one that recovery can not find.',
    claimed: survivesCrashes,
    async run(trial) {
      await open(trial.engine, { base: 42, state: STATE });
      await trial.harness.reopen({ crash: true });
      assert.deepEqual(await trial.engine.recover('s-1', { epoch: 2 }), { end: 42 });
      const reader = await trial.engine.openReader('s-1');
      assert.deepEqual(new Uint8Array(await reader.state()), STATE);
      await reader.close();
    },
  },
];
