import { type Check, durable } from '../check.ts';
import { comeLate } from '../faults-io/late-answers.ts';

export const lateAnswerChecks: readonly Check[] = [
  {
    id: 'SHARD-296',
    level: 'MUST',
    area: 'faults',
    subject: 'engine',
    promise:
      'neither lose, nor change, nor bring back anything when a request arrives after it has given it up, or the answer does',
    why: 'A network may hold a packet for minutes, and who sent it has gone on, or is gone. What arrives then is carried out behind what took its place: Kafka had transactions that hung for ever when a produce request came after its transaction had ended (KIP-890).',
    timeoutMs: 60_000,
    claimed: durable,
    run: comeLate,
  },
];
