// Runs seeds of the model: `npm run model:s3 -- --seeds 10000`.
//   --seeds N      how many; 1000 by default
//   --seed N       the first; 1 by default
//   --kind KIND    objects (S3) by default, or files (HDFS)
//   --seconds N    stops after so long, and says how many it was
import { parseArgs } from 'node:util';
import { openObjects } from '../../src/open.ts';
import { runModel } from './model.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    kind: { type: 'string', default: 'objects' },
    seconds: { type: 'string', default: '36000' },
  },
});
// a promise that nobody waits for is a fault, too
process.on('unhandledRejection', (reason) => {
  console.error('a promise was rejected, and nobody heard it:', reason);
  process.exitCode = 1;
});
const kind = values.kind === 'files' ? 'files' : 'objects';
const awake = setInterval(() => {}, 60_000);
const first = Number(values.seed);
const until = performance.now() + Number(values.seconds) * 1000;
let [ran, failed, acknowledged] = [0, 0, 0];
for (let seed = first; seed < first + Number(values.seeds) && performance.now() < until; seed++) {
  ran++;
  try {
    acknowledged += (await runModel(seed, openObjects, kind)).acknowledged;
  } catch (error) {
    failed++;
    console.error(`seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    if (error instanceof Error && error.cause !== undefined) console.error('because of', error.cause);
  }
}
clearInterval(awake);
console.log(
  `${kind}: ${ran} seeds from ${first}: ${acknowledged} acknowledged appends, ${failed} seeds with a violation`,
);
if (failed > 0) process.exitCode = 1;
