import { appends, type Check } from '../check.ts';
import { engineCommands, shardCommands } from '../model/commands.ts';
import { EngineModel } from '../model/engine-model.ts';
import { runModel } from '../model/run-model.ts';
import { ShardModel } from '../model/shard-model.ts';

const BOX_MS = 3000;

export const modelChecks: readonly Check[] = [
  {
    id: 'SHARD-230',
    level: 'MUST',
    area: 'model',
    subject: 'engine',
    promise: 'answer random calls in random orders as an oracle of what was acknowledged allows',
    why: 'The orders in which logs were caught losing data were ones that nobody had thought of: a seal, an abort and a crash, say.',
    timeoutMs: 60_000,
    claimed: appends,
    async run(trial) {
      const { harness, seed, effort } = trial;
      let runs = 0;
      const modelCommands = await runModel({
        seed,
        boxMs: BOX_MS * effort,
        commands: engineCommands(harness.canCrash),
        begin: () => new EngineModel(trial, `m${runs++}.`),
        restore: () => harness.reopen({ crash: harness.canCrash }),
      });
      trial.note({ modelCommands });
    },
  },
  {
    id: 'SHARD-231',
    level: 'MUST',
    area: 'model',
    subject: 'shard',
    promise: 'answer random calls of a shard as an oracle of what was acknowledged allows',
    why: 'Between the engine and its clients lie rolling, recovery and sending again, each right alone; this asks for all of them at once.',
    timeoutMs: 60_000,
    claimed: appends,
    async run(trial) {
      const { harness, seed, effort } = trial;
      let runs = 0;
      const modelCommands = await runModel({
        seed,
        boxMs: BOX_MS * effort,
        commands: shardCommands(harness.canCrash),
        begin: () => new ShardModel(trial, `m${runs++}.`),
        restore: () => harness.reopen({ crash: harness.canCrash }),
      });
      trial.note({ modelCommands });
    },
  },
];
