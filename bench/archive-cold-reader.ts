/**
 * `node archive-cold-reader.ts PORT TOPIC END...`: reads all partitions from their beginning to their ends, over and over, until standard input is closed; then prints how
 * many MB/s that were. A process of its own: whose sends are timed is not to wait for what arrives here.
 */
import { KafkaWire } from '../test/crash/kafka-wire.ts';
import { FETCH_BYTES } from './archive-read.ts';
import { VALUE_BYTES } from './archive-values.ts';

const [port, topic = '', ...ends] = process.argv.slice(2);
let isDone = false;
process.stdin.on('end', () => {
  isDone = true;
});
process.stdin.resume();
let bytes = 0;
const from = performance.now();
await Promise.all(
  ends.map(async (end, partition) => {
    const wire = await KafkaWire.open(Number(port));
    for (let at = 0; !isDone; ) {
      const { error, records } = await wire.fetch(topic, partition, at, FETCH_BYTES);
      if (error !== 0) throw new Error(`fetch of ${topic}/${partition} at ${at}: error ${error}`);
      bytes += records.length;
      at += Math.max(1, Math.floor(records.length / VALUE_BYTES));
      if (at >= Number(end)) at = 0;
    }
    wire.close();
  }),
);
console.log(bytes / 1e3 / (performance.now() - from));
process.exit();
