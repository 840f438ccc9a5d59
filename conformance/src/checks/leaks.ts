import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { batch } from '../batches.ts';
import { appends, type Check } from '../check.ts';
import { refused, settled } from '../expect.ts';
import { fill, open } from './segments.ts';

export const leakChecks: readonly Check[] = [
  {
    id: 'SHARD-130',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'settle every append that is in flight when it is closed',
    why: 'A promise that nobody settles is a client that waits for ever and a shutdown that hangs.',
    claimed: appends,
    async run({ engine }) {
      const writers = await Promise.all([1, 2, 3].map(async (i) => await open(engine, { id: `s-${i}` })));
      const appends = writers.flatMap((writer) =>
        Array.from({ length: 30 }, (_, i) => settled(writer.append([batch({ base: i })], { base: i }))),
      );
      await engine.close();
      for (const result of await Promise.all(appends))
        if ('error' in result) assert.notEqual(result.error.code, 'INVALID_ARGUMENT');
    },
  },
  {
    id: 'SHARD-131',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'close twice without harm, and refuse everything afterwards',
    why: 'Whatever stops a node stops parts of it twice.',
    async run({ engine, definition }) {
      const writer = definition.capabilities.append ? await open(engine) : undefined;
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
      await refused(open(engine, { id: 's-2' }), ['CLOSED', 'NOT_SUPPORTED'], 'none');
      await refused(engine.recover('s-1', { epoch: 2 }), 'CLOSED', 'none');
      await refused(engine.list({ prefix: '', limit: 1 }), 'CLOSED', 'none');
      if (writer === undefined) return;
      await refused(writer.append([batch()], { base: 0 }), 'CLOSED', 'none');
      await refused(writer.read(0, { maxBytes: 1 }), 'CLOSED', 'none');
      await settled(writer.close());
    },
  },
  {
    id: 'SHARD-132',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'hold no open file for segments that are gone',
    why: 'A descriptor a segment is enough for a week, and then nothing can be opened any more.',
    claimed: (capabilities) => capabilities.append && openFiles() !== undefined,
    async run({ engine }) {
      const round = async (from: number): Promise<void> => {
        for (let i = from; i < from + 20; i++) {
          const writer = await open(engine, { id: `s-${i}` });
          await fill(writer, 3);
          await writer.seal();
          const reader = await engine.openReader(`s-${i}`);
          await reader.read(0, { maxBytes: 1 });
          await reader.close();
          await writer.close();
          await engine.delete(`s-${i}`);
        }
      };
      await round(0);
      const before = openFiles() ?? 0;
      for (let i = 1; i <= 5; i++) await round(i * 20);
      const after = openFiles() ?? 0;
      assert.ok(after <= before + 10, `${before} files were open after 20 segments, ${after} after 120`);
    },
  },
  {
    id: 'SHARD-133',
    level: 'MUST',
    area: 'leaks',
    subject: 'engine',
    promise: 'keep no file, thread or socket when it is closed',
    why: 'A process that can not end is killed, and killing is what the next start has to repair.',
    claimed: () => openFiles() !== undefined,
    async run(trial) {
      await trial.harness.reopen({ crash: false });
      const before = openFiles() ?? 0;
      for (let i = 0; i < 5; i++) {
        if (trial.definition.capabilities.append) await fill(await open(trial.engine, { id: `s-${i}` }), 3);
        await trial.harness.reopen({ crash: false });
      }
      const after = openFiles() ?? 0;
      assert.ok(after <= before + 5, `${before} files were open, ${after} are after five restarts`);
    },
  },
];

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined; // not a system that tells
  }
}
