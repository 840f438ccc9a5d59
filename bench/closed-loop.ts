/** One send; `done` is called once it has been acknowledged. Callbacks, so that the loop itself costs both sides the same little. */
export type Send = (client: number, done: (error?: unknown) => void) => void;

export interface LoopResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Latencies are kept in a ring this long: enough for a p99 of any run. */
const SAMPLES = 1 << 20;

/** `clients` sends in flight, each sent again as soon as it is acknowledged, for `seconds` after a warm-up of a fifth of that. */
export function closedLoop(clients: number, seconds: number, send: Send): Promise<LoopResult> {
  const samples = new Float64Array(SAMPLES);
  const measureFrom = performance.now() + seconds * 200;
  const end = measureFrom + seconds * 1000;
  let count = 0;
  let running = clients;
  return new Promise((resolve, reject) => {
    const run = (client: number) => {
      const sentAt = performance.now();
      send(client, (error) => {
        if (error !== undefined) return reject(error);
        const now = performance.now();
        if (now >= measureFrom && now < end) samples[count++ % SAMPLES] = now - sentAt;
        if (now < end) run(client);
        else if (--running === 0) resolve(summary(count, seconds, samples));
      });
    };
    for (let client = 0; client < clients; client++) run(client);
  });
}

function summary(count: number, seconds: number, samples: Float64Array): LoopResult {
  const sorted = samples.subarray(0, Math.min(count, SAMPLES)).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { perSecond: count / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
