import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { NOT_YET } from './sequences/not-yet.ts';
import { play, type Sequence, type Step } from './sequences/run.ts';
import { startBroker } from './start-broker.ts';

const folder = process.env.ROBUSTMQ_MQTT_SEQUENCES ?? join(import.meta.dirname, '../../../../shared/mqtt-sequences');
const sequences = existsSync(folder) ? load(folder) : [];
const LANES = 12;
/** As the sequences' own CONNACKs have it. */
const PROFILE = { topicAliasMaximum: 10, maxPacketBytes: 2_000_000, receiveMaximum: 20 };

if (sequences.length === 0)
  console.warn(`SKIPPED: no packet sequences in ${folder}; set ROBUSTMQ_MQTT_SEQUENCES to their folder`);

describe.skipIf(sequences.length === 0)('packet exchanges of the Mosquitto suite', () => {
  const problems = new Map<string, string | undefined>();

  beforeAll(async () => {
    // a lane has a broker of its own: sequences share client ids and topics
    await Promise.all(
      Array.from({ length: LANES }, async (_, lane) => {
        const { broker, port } = await startBroker(PROFILE);
        for (const [at, sequence] of sequences.entries())
          if (at % LANES === lane) problems.set(sequence.id, await play(sequence, port));
        await broker.close();
      }),
    );
  }, 120_000);

  test('names of sequences are unique, and the list of those left out names real ones', () => {
    expect(new Set(sequences.map(({ id }) => id)).size).toBe(sequences.length);
    const names = new Set(sequences.map(({ id }) => id));
    expect(Object.keys(NOT_YET).filter((id) => !names.has(id))).toEqual([]);
  });

  const due = sequences.filter(({ id }) => NOT_YET[id] === undefined);
  test.each(due.map(({ id }) => [id]))('%s', (id) => {
    expect(problems.get(id)).toBeUndefined();
  });

  test.each(Object.entries(NOT_YET))('not yet: %s (%s)', (id) => {
    expect(problems.get(id), 'it passes now: take it off the list').toBeDefined();
  });
});

interface Group {
  readonly group: string;
  readonly ver?: number;
  readonly connect?: boolean;
  readonly expect_disconnect?: boolean;
  readonly tests: readonly (Omit<Group, 'tests'> & { readonly name: string; readonly msgs: readonly Step[] })[];
}

function load(from: string): Sequence[] {
  const found: Sequence[] = [];
  const seen = new Map<string, number>();
  for (const file of readdirSync(from)
    .filter((name) => name.endsWith('.json'))
    .sort()) {
    // the shape is stated in the folder's README
    const groups = JSON.parse(readFileSync(join(from, file), 'utf8')) as Group[];
    for (const group of groups)
      for (const one of group.tests) {
        const name = `${group.group} ${one.name}`.replace(/\s+/g, ' ').trim();
        const count = (seen.get(name) ?? 0) + 1;
        seen.set(name, count);
        found.push({
          id: count === 1 ? name : `${name} #${count}`,
          version: one.ver ?? group.ver ?? 4,
          connect: one.connect ?? group.connect ?? true,
          expectDisconnect: one.expect_disconnect ?? group.expect_disconnect ?? true,
          steps: one.msgs,
        });
      }
  }
  return found;
}
