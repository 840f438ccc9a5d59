// Runs the conformance suite over the first-party engines and prints one row each: `npm run conformance`.
//   --docs          writes docs/conformance.md instead
//   --engine NAME   only this one
//   --only ID,ID    only these checks
//   --seed N        of the random parts
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describePromises, formatScorecard, openShardWorld, openWorld, runScorecard } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import * as localFile from '@robustmq/engine-local-file';
import * as memory from '@robustmq/engine-memory';

const { values } = parseArgs({
  options: {
    docs: { type: 'boolean', default: false },
    engine: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});

if (values.docs) {
  await writeFile(new URL('../docs/conformance.md', import.meta.url), describePromises());
} else {
  let failed = 0;
  // the suite's own timers would let the process end in the middle of a check that hangs
  const alive = setInterval(() => {}, 1000);
  for (const [name, module] of Object.entries({ memory, 'local-file': localFile })) {
    if (values.engine !== undefined && values.engine !== name) continue;
    const definition = (module as { readonly default?: EngineDefinition }).default; // what an engine package exports
    if (definition === undefined) throw new Error(`@robustmq/engine-${name} has no default export`);
    // each is opened with the defaults of its own schema
    const config = defaultsOf(definition);
    const options = {
      seed: Number(values.seed),
      ...(values.only === undefined ? {} : { only: values.only.split(',') }),
      onResult: (id: string, result: string, error?: Error) => {
        if (result === 'failed') console.error(`${definition.name} ${error?.message ?? id}`);
      },
    };
    const cards = [
      await runScorecard(definition, { kind: 'engine', open: () => openWorld(definition, { config }) }, options),
      await runScorecard(definition, { kind: 'shard', open: () => openShardWorld(definition, { config }) }, options),
    ];
    failed += cards.reduce((sum, card) => sum + card.failed.length, 0);
    console.log(formatScorecard(name, cards));
  }
  clearInterval(alive);
  process.exitCode = failed === 0 ? 0 : 1;
}

function defaultsOf(definition: EngineDefinition): Record<string, unknown> {
  const properties = (definition.configSchema.properties ?? {}) as Record<string, { readonly default?: unknown }>;
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, { default: value }]) => (value === undefined ? [] : [[key, value]])),
  );
}
