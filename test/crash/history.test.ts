import { describe, expect, it } from 'vitest';
import { type Anomaly, History } from './history.ts';
import { decodePayload, encodePayload } from './payload.ts';

const P0 = 'orders/0';

describe('a history without fault', () => {
  it('has nothing to report', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3, 4]);
    expect(anomalies(history)).toEqual([]);
  });

  it('what was never acknowledged may be there or not', () => {
    const { history } = written();
    history.sent('w', 5, P0);
    readAll(history, [0, 1, 2, 3, 4]);
    expect(anomalies(history)).toEqual([]);
    history.read(P0, 5, encodePayload('w', 5));
    expect(anomalies(history)).toEqual([]);
  });

  it('may be read before the acknowledgement comes', () => {
    const history = new History();
    history.writer('w', 'once');
    history.sent('w', 0, P0);
    history.read(P0, 0, encodePayload('w', 0));
    history.acknowledged('w', 0, 0);
    expect(history.outstanding()).toEqual([]);
    expect(anomalies(history)).toEqual([]);
  });

  it('at least once: repeats are no fault, in any number', () => {
    const history = atLeastOnce(3);
    for (const [offset, sequence] of [0, 1, 0, 1, 2, 2].entries())
      history.read(P0, offset, encodePayload('m', sequence));
    expect(anomalies(history)).toEqual([]);
  });

  it('is the same when it is read twice', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3, 4]);
    readAll(history, [0, 1, 2, 3, 4]);
    expect(anomalies(history)).toEqual([]);
  });
});

describe('a planted fault', () => {
  it('lost: an acknowledged record is not there', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3]);
    expect(anomalies(history)).toEqual(['lost']);
  });

  it('lost: with nothing read at all, all of it', () => {
    expect(anomalies(written().history)).toEqual(Array(5).fill('lost'));
  });

  it('lost is reported once', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3]);
    anomalies(history);
    expect(history.outstanding()).toEqual([]);
  });

  it('duplicated: an idempotent record is there twice', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3, 4, 4]);
    expect(anomalies(history)).toEqual(['duplicated']);
  });

  it('duplicated: in another shard', () => {
    const history = new History();
    history.writer('w', 'once');
    history.sent('w', 0);
    history.read(P0, 0, encodePayload('w', 0));
    history.read('orders/1', 0, encodePayload('w', 0));
    expect(anomalies(history)).toEqual(['duplicated']);
  });

  it('duplicated: more often than it was sent', () => {
    const history = new History();
    history.writer('m', 'oncePerSend');
    history.sent('m', 0, P0);
    history.sentAgain('m', 0);
    for (const offset of [0, 1, 1]) history.read(P0, offset, encodePayload('m', 0));
    expect(anomalies(history)).toEqual([]);
    history.read(P0, 2, encodePayload('m', 0));
    expect(anomalies(history)).toEqual(['duplicated']);
  });

  it('renumbered: two acknowledged at the same offset', () => {
    const { history } = written();
    history.sent('w', 5, P0);
    history.acknowledged('w', 5, 4);
    readAll(history, [0, 1, 2, 3, 4]);
    history.read(P0, 5, encodePayload('w', 5));
    expect(anomalies(history)).toEqual(['renumbered', 'renumbered']);
  });

  it('reordered: two records of one writer change places', () => {
    const { history } = written({ offsets: false });
    readAll(history, [0, 2, 1, 3, 4]);
    expect(anomalies(history)).toEqual(['reordered']);
  });

  it('reordered: first occurrences, where repeats are allowed', () => {
    const history = atLeastOnce(3);
    for (const [offset, sequence] of [1, 0, 1, 2].entries()) history.read(P0, offset, encodePayload('m', sequence));
    expect(anomalies(history)).toEqual(['reordered']);
  });

  it('phantom: a record nobody sent, by a writer known or not, or sent elsewhere', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3, 4, 5]);
    history.read(P0, 6, encodePayload('stranger', 0));
    history.read('orders/1', 0, encodePayload('w', 0));
    expect(anomalies(history).filter((one) => one !== 'gap')).toEqual(['phantom', 'phantom', 'phantom']);
  });

  it('changed: one bit of a value', () => {
    for (const at of [0, 6, 9, 20, 40]) {
      const { history } = written();
      readAll(history, [0, 1, 2, 3]);
      const value = encodePayload('w', 4);
      value[at] = (value[at] ?? 0) ^ 1;
      history.read(P0, 4, value);
      expect(anomalies(history)).toContain('changed');
    }
  });

  it('changed: cut off, or no value', () => {
    for (const value of [encodePayload('w', 4).subarray(0, 30), Buffer.alloc(0), null]) {
      const { history } = written();
      readAll(history, [0, 1, 2, 3]);
      history.read(P0, 4, value);
      expect(anomalies(history)).toEqual(['changed', 'lost']);
    }
  });

  it('changed: another record at an offset that was read before', () => {
    const { history } = written();
    history.sent('w', 5, P0);
    readAll(history, [0, 1, 2, 3, 4]);
    history.read(P0, 4, encodePayload('w', 5));
    expect(anomalies(history)).toEqual(['changed']);
  });

  it('renumbered: not at the offset it was acknowledged at', () => {
    const { history } = written();
    history.sent('w', 5, P0);
    readAll(history, [0, 1, 2, 3]);
    history.read(P0, 5, encodePayload('w', 4));
    history.read(P0, 4, encodePayload('w', 5));
    expect(anomalies(history)).toEqual(['renumbered', 'reordered']);
  });

  it('gap: an offset without a record', () => {
    const { history } = written({ offsets: false });
    for (const [offset, sequence] of [0, 1, 2, 3].entries()) history.read(P0, offset, encodePayload('w', sequence));
    history.read(P0, 5, encodePayload('w', 4));
    expect(anomalies(history)).toEqual(['gap']);
  });
});

describe('what lay in memory', () => {
  it('is counted when it went with its process, and is no fault; its offsets stay free', () => {
    const { history } = written();
    history.wentWithProcess(P0, { base: 2, end: 100 });
    readAll(history, [0, 1]);
    history.sent('w', 5, P0);
    history.acknowledged('w', 5, 100);
    history.read(P0, 100, encodePayload('w', 5));
    expect(anomalies(history)).toEqual([]);
    expect(history.counts.goneWithProcess).toBe(3);
  });

  it('lost: what lay beside it', () => {
    const { history } = written();
    history.wentWithProcess(P0, { base: 2, end: 4 });
    readAll(history, [0, 1]);
    expect(anomalies(history)).toEqual(['lost']);
    expect(history.counts.goneWithProcess).toBe(2);
  });

  it('without an offset told it may have lain there only when its neighbours let it', () => {
    const { history } = written({ offsets: false });
    history.wentWithProcess(P0, { base: 3, end: 50 });
    for (const [offset, sequence] of [
      [0, 0],
      [1, 2],
      [50, 4],
    ] as const)
      history.read(P0, offset, encodePayload('w', sequence));
    expect(anomalies(history)).toEqual(['lost', 'gap']);
    expect(history.counts.goneWithProcess).toBe(1);
  });

  it('what was read there and never acknowledged comes again elsewhere, once', () => {
    const history = new History();
    history.writer('w', 'once');
    history.sent('w', 0, P0);
    history.read(P0, 0, encodePayload('w', 0));
    history.wentWithProcess(P0, { base: 0, end: 10 });
    history.acknowledged('w', 0, 10);
    history.read(P0, 10, encodePayload('w', 0));
    expect(anomalies(history)).toEqual([]);
    history.read(P0, 11, encodePayload('w', 0));
    expect(anomalies(history)).toEqual(['duplicated']);
    expect(history.counts.goneWithProcess).toBe(0);
  });
});

describe('read again', () => {
  it('lost: a record that was read before, acknowledged or not', () => {
    const { history } = written();
    history.sent('w', 5, P0);
    readAll(history, [0, 1, 2, 3, 4, 5]);
    history.readingAgain(P0);
    readAll(history, [0, 1, 2, 3]);
    history.expectAllAgain(P0);
    expect(anomalies(history)).toEqual(['lost', 'lost']);
  });

  it('what went with its process is counted', () => {
    const { history } = written();
    readAll(history, [0, 1, 2, 3, 4]);
    history.wentWithProcess(P0, { base: 3, end: 100 });
    history.readingAgain(P0);
    readAll(history, [0, 1, 2]);
    history.expectAllAgain(P0);
    expect(anomalies(history)).toEqual([]);
    expect(history.counts.goneWithProcess).toBe(2);
  });
});

describe('payloads', () => {
  it('come back, and no change goes unseen', () => {
    for (let sequence = 0; sequence < 50; sequence++) {
      const bytes = encodePayload('writer-1', sequence);
      expect(decodePayload(bytes)).toEqual({ writer: 'writer-1', sequence });
      for (let at = 0; at < bytes.length; at += 7) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 0x10;
        expect(decodePayload(changed)).toBeUndefined();
      }
    }
  });
});

/** Five records of one idempotent writer, acknowledged. */
function written({ offsets = true } = {}): { history: History } {
  const history = new History();
  history.writer('w', 'once');
  for (let sequence = 0; sequence < 5; sequence++) {
    history.sent('w', sequence, P0);
    history.acknowledged('w', sequence, offsets ? sequence : undefined);
  }
  return { history };
}

function atLeastOnce(count: number): History {
  const history = new History();
  history.writer('m', 'atLeastOnce');
  for (let sequence = 0; sequence < count; sequence++) {
    history.sent('m', sequence);
    history.acknowledged('m', sequence);
  }
  return history;
}

function readAll(history: History, sequences: readonly number[]): void {
  for (const [offset, sequence] of sequences.entries()) history.read(P0, offset, encodePayload('w', sequence));
}

function anomalies(history: History): Anomaly[] {
  history.expectSeen(history.outstanding());
  history.checkLogs();
  return history.violations.map((violation) => violation.anomaly);
}
