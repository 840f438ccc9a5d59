// Appends of 1 KB, each its own, so many in flight, spread over so many segments, against a loop that does nothing but group commit on
// the same disk in the same run: node engines/local-file/bench/append.mjs [seconds] [directory]
import * as fs from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { lockDirectory, nodeFileSystem, silentLogger, systemClock, systemRandom, unreadMetrics } from '@robustmq/core';
import localFile from '../src/index.ts';

const seconds = Number(process.argv[2] ?? 3);
const root = mkdtempSync(join(process.argv[3] ?? tmpdir(), 'bench-local-file-'));
const RECORD = 1024;

function batch() {
  const bytes = Buffer.alloc(RECORD, 7);
  bytes.fill(0, 0, 61);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt32BE(1, 57);
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17);
  return bytes;
}

/** The best a JavaScript loop does: all that wait are copied into one buffer, one write to a zeroed file, O_DSYNC. */
async function raw(inFlight) {
  const path = join(root, 'raw');
  const size = 256 * 1024 * 1024;
  const zero = fs.openSync(path, 'w');
  for (let at = 0; at < size; at += 1 << 20) fs.writeSync(zero, Buffer.alloc(1 << 20), 0, 1 << 20, at);
  fs.fsyncSync(zero);
  fs.closeSync(zero);
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_DSYNC);
  const scratch = Buffer.alloc(4 << 20);
  let waiting = [];
  let busy = false;
  let position = 0;
  let done = 0;
  const record = batch();
  const commit = () => {
    const group = waiting;
    waiting = [];
    busy = true;
    let at = 0;
    for (const one of group) {
      one.bytes.copy(scratch, at);
      at += one.bytes.length;
    }
    const length = Math.ceil(at / 4096) * 4096;
    if (position + length > size) position = 0;
    fs.write(fd, scratch, 0, length, position, (error) => {
      if (error) throw error;
      busy = false;
      for (const one of group) one.resolve();
      setImmediate(() => waiting.length > 0 && !busy && commit());
    });
    position += length;
  };
  const append = (bytes) =>
    new Promise((resolve) => {
      waiting.push({ bytes, resolve });
      if (!busy) queueMicrotask(() => !busy && waiting.length > 0 && commit());
    });
  const began = performance.now();
  const until = began + seconds * 1000;
  const client = async () => {
    while (performance.now() < until) {
      await append(record);
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  fs.closeSync(fd);
  fs.unlinkSync(path);
  return (done / (performance.now() - began)) * 1000;
}

async function engine(inFlight, segments, warm) {
  const dir = join(root, `engine-${segments}-${inFlight}`);
  fs.mkdirSync(dir);
  const opened = await localFile.open({
    instance: 'bench',
    dir,
    config: {},
    fs: nodeFileSystem,
    lock: lockDirectory,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: unreadMetrics,
    meta: undefined,
    health: () => {},
    signal: new AbortController().signal,
  });
  const writers = [];
  for (let i = 0; i < segments; i++)
    writers.push(opened.create(`s${i}`, { base: 0, epoch: 1, config: {}, state: new Uint8Array(0) }));
  const open = (await Promise.all(writers)).map((writer) => ({ writer, next: 0 }));
  let done = 0;
  let turn = 0;
  const latencies = [];
  const run = async (ms) => {
    done = 0;
    latencies.length = 0;
    const began = performance.now();
    const until = began + ms;
    const client = async () => {
      for (;;) {
        const now = performance.now();
        if (now >= until) return;
        const segment = open[turn++ % open.length];
        const bytes = batch0();
        bytes.writeUInt32BE(segment.next >>> 0, 4);
        const base = segment.next++;
        const wait = segment.writer.ready(RECORD);
        if (wait !== undefined) throw new Error('no credit');
        await segment.writer.append([bytes], { base });
        if ((done++ & 15) === 0) latencies.push(performance.now() - now);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, client));
    return (done / (performance.now() - began)) * 1000;
  };
  const cold = warm > 0 ? await run(warm) : 0;
  const rate = await run(seconds * 1000);
  latencies.sort((a, b) => a - b);
  await opened.close();
  rmSync(dir, { recursive: true });
  return { cold, rate, p50: latencies[latencies.length >> 1], p99: latencies[Math.floor(latencies.length * 0.99)] };
}

const template = batch();
const pool = Array.from({ length: 4096 }, () => Buffer.from(template));
let used = 0;
/** A record of its own for each append in flight, as a broker would have. */
function batch0() {
  return pool[used++ & 4095];
}

try {
  for (const inFlight of [1, 64, 256, 1024]) {
    const best = await raw(inFlight);
    for (const segments of [1, 1000]) {
      const { cold, rate, p50, p99 } = await engine(inFlight, segments, 2000);
      console.log(
        `${String(inFlight).padStart(5)} in flight, ${String(segments).padStart(4)} segments: raw ${Math.round(best)}/s, ` +
          `engine ${Math.round(rate)}/s (first 2 s of a new directory ${Math.round(cold)}/s), ratio ${(rate / best).toFixed(2)}, ` +
          `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
      );
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
