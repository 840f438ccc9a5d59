import { PassThrough, Writable } from 'node:stream';
import { VirtualClock } from '@robustmq/core/testing';
import { describe, expect, test } from 'vitest';
import { CorkedWriter, type Deadline, DeadlineSweep } from '../src/index.ts';

describe('the corked writer', () => {
  test('hands a turn’s packets over in one write, and counts what is under way', async () => {
    const writes: string[] = [];
    const socket = new Writable({
      write: (chunk, _encoding, done) => {
        writes.push(String(chunk));
        done();
      },
    });
    const writer = new CorkedWriter(socket);
    for (const text of ['a', 'b', 'c']) writer.write(Buffer.from(text));
    expect([writer.backlog, writes]).toEqual([3, []]);
    await new Promise((resolve) => setImmediate(resolve));
    expect([writer.backlog, writes]).toEqual([0, ['abc']]);
  });

  test('does not copy large chunks together', async () => {
    const socket = new PassThrough({ highWaterMark: 1_000_000 });
    const writer = new CorkedWriter(socket);
    const large = Buffer.alloc(100_000, 'x');
    writer.write(Buffer.from('head'));
    writer.write(large);
    writer.flush();
    expect(socket.writableLength + socket.readableLength).toBe(100_004);
    expect(socket.read(4)?.toString()).toBe('head');
  });

  test('writes nothing to a socket that is gone', () => {
    const socket = new PassThrough();
    const writer = new CorkedWriter(socket);
    writer.write(Buffer.from('late'));
    socket.destroy();
    writer.flush();
    expect(writer.backlog).toBe(0);
  });
});

describe('the deadline sweep', () => {
  test('tells each deadline once it is due, heeds that they move, and has no timer when there are none', async () => {
    const clock = new VirtualClock();
    const sweep = new DeadlineSweep(clock, 500);
    const told: string[] = [];
    const deadline = (name: string, dueAt: number): Deadline & { dueAt: number } => {
      const made = {
        dueAt,
        expired: () => {
          told.push(name);
          sweep.delete(made);
        },
      };
      sweep.add(made);
      return made;
    };
    deadline('first', 1000);
    const moved = deadline('second', 1000);
    deadline('never', Number.POSITIVE_INFINITY);
    await clock.advance(900);
    moved.dueAt = 3000;
    await clock.advance(600);
    expect(told).toEqual(['first']);
    await clock.advance(2000);
    expect(told).toEqual(['first', 'second']);
    expect(clock.pending).toBe(1);
  });
});
