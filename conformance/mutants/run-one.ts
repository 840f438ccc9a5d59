// One mutant in a process of its own, which it may leave in any state: `node run-one.ts <file> <scope> <seed>`. Prints the verdict as JSON.
// `sound/memory` and the like are the engines without a fault.
import { checks, runScorecard, type Scorecard } from '@robustmq/conformance';
import { STAGES, stageOf } from '../src/cli/stages.ts';
import { isLong } from '../src/run-check.ts';
import { allMutants } from './all.ts';
import { runMutant, type Scope, type Verdict } from './run.ts';
import { soundSubject } from './sound.ts';

// one of them leaves rejections to nobody: the check meant for it is to see that, not the end of the process
process.on('unhandledRejection', () => {});

const [file = '', scope = 'quick', seed = '1'] = process.argv.slice(2);
const mutant = (await allMutants()).find((each) => each.file === file);
const verdict =
  mutant === undefined ? await soundVerdict(file, Number(seed)) : await runMutant(mutant, scope as Scope, Number(seed)); // as the tool says
process.stdout.write(JSON.stringify(verdict), () => process.exit());

async function soundVerdict(name: string, seed: number): Promise<Verdict> {
  const subject = await soundSubject(name);
  const only = checks.filter((check) => scope !== 'quick' || !isLong(check)).map(({ id }) => id);
  const cards: Scorecard[] = [];
  for (const kind of STAGES) cards.push(await runScorecard(subject.definition, stageOf(kind, subject), { seed, only }));
  const failed = cards.flatMap((card) => card.failed);
  return {
    file: name,
    caught: false,
    message: failed.map(({ error }) => error.message).join('\n'),
    surprises: failed.map(({ id }) => id),
    missed: [],
    found: [],
    passed: cards.reduce((sum, { passed }) => sum + passed.length, 0),
    seconds: cards.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}
